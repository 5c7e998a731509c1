import AllocationMeter
import ArgumentParser
import Foundation

/// Gives mutated files to the project's readers, and reports what crashes, hangs, allocates too much or fails without a reason.
@main
struct LotaFuzz: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "lota-fuzz",
    abstract: "Give mutated files to all readers.",
    discussion:
      "Every input is a function of the seed, the reader and the input's number. Ends with 1 when something is found.",
    subcommands: [Run.self, Worker.self], defaultSubcommand: Run.self)
}

struct Run: ParsableCommand {
  static let configuration = CommandConfiguration(commandName: "run", abstract: "Run readers (the default).")

  @Option(help: "A reader, by name; may be repeated. Default: all.")
  var reader: [String] = []
  @Option(help: "Inputs for each reader.")
  var count = 20_000
  @Option(help: "Number of the first input.")
  var first = 0
  @Option(help: "What all inputs follow from.")
  var seed: UInt64 = 1
  @Option(help: "Seconds for all readers together, shared equally; what they cannot read in time is left out.")
  var seconds: Double?
  @Flag(help: "List the readers.")
  var list = false
  @Option(help: "Read the input in this file alone; needs --reader.", completion: .file())
  var replay: String?
  @Flag(help: "Write the seeds of each reader to the findings folder, and read nothing.")
  var writeSeeds = false
  @Option(help: "Folder in which inputs that made a finding are kept.", completion: .directory)
  var findings = ".lota/fuzz"
  @Flag(help: "Make sure that planted faults are found, all of them and nothing else.")
  var selfTest = false

  func validate() throws {
    for name in reader where FuzzReader.named(name) == nil {
      throw ValidationError("there is no reader '\(name)'; --list names them")
    }
    if replay != nil, reader.count != 1 { throw ValidationError("--replay needs one --reader") }
    guard count > 0, first >= 0, seconds ?? 1 > 0 else { throw ValidationError("counts and times must be positive") }
  }

  func run() throws {
    if list {
      for reader in FuzzReader.all { Report.write(reader.name.padding(to: 20) + reader.summary) }
      return
    }
    if selfTest { return try SelfTest.run() }
    let readers = reader.isEmpty ? FuzzReader.all : reader.compactMap(FuzzReader.named)
    if writeSeeds { return try writeSeeds(of: readers) }
    if let replay { return try replayOne(readers[0], replay) }
    var results: [(name: String, result: Campaign.Result)] = []
    Report.writeHead()
    for reader in readers {
      let campaign = Campaign(
        reader: reader, seed: seed, first: first, count: count, seconds: seconds.map { $0 / Double(readers.count) },
        findingsFolder: findings)
      let result = try campaign.run()
      results.append((reader.name, result))
      Report.write(result, of: reader.name)
    }
    Report.writeSum(results.map(\.result))
    let found = results.flatMap(\.result.findings)
    for finding in found {
      Report.write("\(finding.reader): \(finding.kind.rawValue) at \(finding.index): \(finding.detail)")
    }
    if !found.isEmpty {
      Report.write("inputs are kept in \(findings); see one again with --reader NAME --replay FILE")
      throw ExitCode(1)
    }
  }

  private func writeSeeds(of readers: [FuzzReader]) throws {
    try FileManager.default.createDirectory(atPath: findings, withIntermediateDirectories: true)
    for reader in readers {
      let seeds = try reader.seeds()
      for (number, input) in (seeds.valid + seeds.hostile).enumerated() {
        try Data(input.archive).write(to: URL(fileURLWithPath: "\(findings)/\(reader.name)-seed-\(number).input"))
      }
    }
  }

  private func replayOne(_ reader: FuzzReader, _ path: String) throws {
    let campaign = Campaign(reader: reader, seed: seed, first: 0, count: 1, seconds: nil, findingsFolder: nil)
    let result = try campaign.run(replay: path)
    let outcome = result.accepted == 1 ? "accepted" : "refused: \(result.message)"
    Report.write(
      result.findings.isEmpty
        ? outcome : result.findings.map { "\($0.kind.rawValue): \($0.detail)" }.joined(separator: "\n"))
    Report.write("at most \(result.largestAllocation) bytes, \(result.slowestMicroseconds) us")
    if !result.findings.isEmpty { throw ExitCode(1) }
  }
}

/// What the harness says.
enum Report {
  static func write(_ text: String) { FileHandle.standardOutput.write(Data((text + "\n").utf8)) }

  static func writeHead() {
    write("reader                  inputs  accepted  findings  seconds  slowest ms  largest MB")
  }

  static func write(_ result: Campaign.Result, of name: String) {
    let figures = [
      ("\(result.finished)", 10), ("\(result.accepted)", 10), ("\(result.findings.count)", 10),
      (String(format: "%.1f", result.seconds), 9),
      (String(format: "%.1f", Double(result.slowestMicroseconds) / 1000), 12),
      (String(format: "%.1f", Double(result.largestAllocation) / 1_048_576), 12),
    ]
    write(name.padding(to: 20) + figures.map { $0.0.padding(to: $0.1, right: true) }.joined())
  }

  static func writeSum(_ results: [Campaign.Result]) {
    var sum = Campaign.Result()
    for result in results {
      sum.finished += result.finished
      sum.accepted += result.accepted
      sum.findings += result.findings
      sum.seconds += result.seconds
      sum.largestAllocation = max(sum.largestAllocation, result.largestAllocation)
      sum.slowestMicroseconds = max(sum.slowestMicroseconds, result.slowestMicroseconds)
    }
    write(sum, of: "all")
  }
}

extension String {
  func padding(to width: Int, right: Bool = false) -> String {
    let blanks = String(repeating: " ", count: max(0, width - count))
    return right ? blanks + self : self + blanks
  }
}
