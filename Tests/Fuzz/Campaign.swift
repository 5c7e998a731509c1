import Foundation

/// Runs one reader's inputs through workers, as many as it takes, and notes what they die of.
struct Campaign {
  struct Result {
    var finished = 0
    var accepted = 0
    var findings: [Finding] = []
    var seconds = 0.0
    var largestAllocation = 0
    var slowestMicroseconds = 0
    /// Why the one input of a replay was refused.
    var message = ""
  }

  let reader: FuzzReader
  let seed: UInt64
  let first: Int
  let count: Int
  /// nil: until all are read.
  let seconds: Double?
  /// Where inputs that made a finding are kept; nil: nowhere.
  let findingsFolder: String?
  /// Goes on to the next reader after so many.
  var mostFindings = 25

  func run(replay: String? = nil) throws -> Result {
    let folder = try Self.scratchFolder()
    defer { try? FileManager.default.removeItem(atPath: folder) }
    let workspace = folder + "/files"
    try FileManager.default.createDirectory(atPath: workspace, withIntermediateDirectories: true)
    let state = try SharedState(path: folder + "/state")
    let start = Date()
    var result = Result()
    var next = first
    while next < first + count, result.findings.count < mostFindings {
      state[.index] = -1
      let worker = try WorkerProcess(
        [
          "--reader", reader.name, "--seed", "\(seed)", "--from", "\(next)", "--to", "\(first + count)", "--shared",
          state.path, "--workspace", workspace, "--deadline",
          "\(seconds.map { start.timeIntervalSince1970 + $0 } ?? .infinity)",
        ] + (replay.map { ["--replay", $0] } ?? []), log: folder + "/log")
      let end = worker.wait { state[.index] }
      result.findings += end.lines.compactMap { Finding(line: $0, reader: reader.name) }
      guard end.isDeath else {
        result.message = end.log
        guard end.status == 0 else {
          throw HarnessError(reason: "a worker ended with status \(end.status): \(end.log)")
        }
        break
      }
      let index = state[.index]
      guard index >= 0 else { throw HarnessError(reason: "a worker died before its first input: \(end.log)") }
      result.findings.append(Finding(reader: reader.name, kind: end.kind, index: index, detail: end.detail))
      next = index + 1
    }
    result.finished = state[.finished] + result.findings.filter { $0.kind == .crash || $0.kind == .hang }.count
    result.accepted = state[.accepted]
    result.largestAllocation = state[.largestAllocation]
    result.slowestMicroseconds = state[.slowestMicroseconds]
    result.seconds = Date().timeIntervalSince(start)
    if replay == nil { try keep(result.findings) }
    return result
  }

  private func keep(_ findings: [Finding]) throws {
    guard let findingsFolder, !findings.isEmpty else { return }
    try FileManager.default.createDirectory(atPath: findingsFolder, withIntermediateDirectories: true)
    let seeds = try reader.seeds()
    for finding in findings {
      let input = reader.input(seed: seed, index: finding.index, of: seeds)
      let name = "\(reader.name)-\(finding.kind.rawValue)-\(seed)-\(finding.index).input"
      try Data(input.archive).write(to: URL(fileURLWithPath: findingsFolder + "/" + name))
    }
  }

  /// In memory where that is a folder, so that the disk sets no pace.
  private static func scratchFolder() throws -> String {
    let memory = "/dev/shm"
    let parent = access(memory, W_OK) == 0 ? memory : NSTemporaryDirectory()
    let folder = parent + "/lota-fuzz-\(getpid())-\(UInt64.random(in: 0..<(1 << 40)))"
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    return folder
  }
}

/// A worker, from its start to its end.
struct WorkerProcess {
  struct End {
    /// What it has reported.
    let lines: [Substring]
    let status: Int32
    let isDeath: Bool
    let isStall: Bool
    /// The end of what it wrote to standard error.
    let log: String

    var kind: Finding.Kind { isStall || status == SIGPROF ? .hang : .crash }

    var detail: String {
      if isStall { return "no progress for \(Int(Limits.stallSeconds)) s" }
      return status == SIGPROF ? "more processor time than allowed" : "signal \(status) \(log)"
    }
  }

  private let process = Process()
  private let pipe = Pipe()
  private let log: String

  init(_ arguments: [String], log: String) throws {
    self.log = log
    process.executableURL = Bundle.main.executableURL ?? URL(fileURLWithPath: CommandLine.arguments[0])
    process.arguments = ["worker"] + arguments
    process.standardOutput = pipe
    _ = FileManager.default.createFile(atPath: log, contents: nil)
    process.standardError = FileHandle(forWritingAtPath: log)
    // A backtrace takes seconds a crash, and nobody reads it.
    process.environment = ProcessInfo.processInfo.environment.merging([
      "SWIFT_BACKTRACE": "enable=no", "OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "passive",
    ]) { $1 }
    try process.run()
  }

  /// Follows it to its end; ends it when `progress` stands still for too long.
  func wait(progress: () -> Int) -> End {
    let descriptor = pipe.fileHandleForReading.fileDescriptor
    var output: [UInt8] = []
    var buffer = [UInt8](repeating: 0, count: 1 << 16)
    var last = (index: progress(), time: Date())
    var isStall = false
    while true {
      var waiting = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
      if poll(&waiting, 1, 1000) > 0 {
        let count = read(descriptor, &buffer, buffer.count)
        if count <= 0 { break }
        output += buffer[..<count]
      }
      let index = progress()
      if index != last.index { last = (index, Date()) }
      if Date().timeIntervalSince(last.time) > Limits.stallSeconds, !isStall {
        isStall = true
        kill(process.processIdentifier, SIGKILL)
      }
    }
    process.waitUntilExit()
    let text = (FileManager.default.contents(atPath: log) ?? Data()).suffix(2000)
    let tail = String(decoding: text, as: UTF8.self).split(whereSeparator: \.isNewline).suffix(12).joined(
      separator: " | ")
    return End(
      lines: String(decoding: output, as: UTF8.self).split(whereSeparator: \.isNewline),
      status: process.terminationStatus, isDeath: process.terminationReason == .uncaughtSignal, isStall: isStall,
      log: tail)
  }
}
