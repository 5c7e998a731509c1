import Foundation
import TestSupport
import Testing

/// Where the executable under test lies: beside the test bundle, or where `LOTA_EXECUTABLE` says.
enum LotaExecutable {
  static let url: URL? = {
    if let path = ProcessInfo.processInfo.environment["LOTA_EXECUTABLE"] { return URL(fileURLWithPath: path) }
    let starts = [Bundle.module.bundleURL, Bundle.main.bundleURL, URL(fileURLWithPath: CommandLine.arguments[0])]
    return starts.lazy.flatMap(ancestors).map { $0.appendingPathComponent("lota") }.first(where: isExecutableFile)
  }()

  private static func ancestors(_ url: URL) -> [URL] {
    var url = url.standardizedFileURL
    var found: [URL] = []
    for _ in 0..<6 where url.path != "/" {
      found.append(url)
      url.deleteLastPathComponent()
    }
    return found
  }

  private static func isExecutableFile(_ url: URL) -> Bool {
    var isDirectory: ObjCBool = false
    return FileManager.default.fileExists(atPath: url.path, isDirectory: &isDirectory) && !isDirectory.boolValue
      && FileManager.default.isExecutableFile(atPath: url.path)
  }
}

/// What one run of the executable left.
struct LotaResult {
  let arguments: [String]
  /// The exit status; for a process that a signal ended, the signal's number.
  let code: Int32
  let wasSignalled: Bool
  let output: String
  let errors: String

  var outputLines: [String] { output.split(separator: "\n").map(String.init) }

  /// The first line of standard output as a JSON object.
  func json(sourceLocation: SourceLocation = #_sourceLocation) throws -> [String: Any] {
    try objects(sourceLocation: sourceLocation).first ?? [:]
  }

  /// Each line of standard output as a JSON object.
  func objects(sourceLocation: SourceLocation = #_sourceLocation) throws -> [[String: Any]] {
    try outputLines.map { line in
      let value = try JSONSerialization.jsonObject(with: Data(line.utf8))
      return try #require(value as? [String: Any], "not an object: \(line)", sourceLocation: sourceLocation)
    }
  }
}

/// Runs the built `lota` as its users do.
enum Lota {
  /// One compute thread, passive waiting: tests run beside each other, and results may not depend on the machine.
  private static let environment = ProcessInfo.processInfo.environment.merging([
    "OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "passive", "COLUMNS": "100",
  ]) { $1 }

  /// Runs to the end, streams kept in files so that no pipe fills up.
  ///
  /// - Parameters:
  ///   - input: what standard input holds.
  ///   - output: takes standard output instead of a file.
  ///   - variables: of the environment, over those of the tests.
  static func run(
    _ arguments: [String], in directory: TemporaryDirectory, input: String = "", output: FileHandle? = nil,
    variables: [String: String] = [:]
  ) throws -> LotaResult {
    try start(arguments, in: directory, input: input, output: output, variables: variables).finish()
  }

  /// The same, without waiting for its end.
  static func start(
    _ arguments: [String], in directory: TemporaryDirectory, input: String = "", output: FileHandle? = nil,
    variables: [String: String] = [:]
  ) throws -> LotaProcess {
    let process = Process()
    process.executableURL = LotaExecutable.url
    process.arguments = arguments
    process.environment = environment.merging(variables) { $1 }
    process.currentDirectoryURL = URL(fileURLWithPath: directory.path)
    let streams = try TemporaryDirectory()
    let (outputFile, errorFile) = (streams.file("stdout"), streams.file("stderr"))
    try streams.write(input, to: "stdin")
    process.standardInput = try FileHandle(forReadingFrom: URL(fileURLWithPath: streams.file("stdin")))
    for path in [outputFile, errorFile] { try Data().write(to: URL(fileURLWithPath: path)) }
    process.standardOutput = try output ?? FileHandle(forWritingTo: URL(fileURLWithPath: outputFile))
    process.standardError = try FileHandle(forWritingTo: URL(fileURLWithPath: errorFile))
    try process.run()
    return LotaProcess(arguments: arguments, process: process, streams: streams)
  }

  /// Runs and expects success. Returns what was printed.
  @discardableResult
  static func succeed(
    _ arguments: String..., in directory: TemporaryDirectory, sourceLocation: SourceLocation = #_sourceLocation
  ) throws -> LotaResult {
    let result = try run(arguments, in: directory)
    try #require(
      result.code == 0 && !result.wasSignalled,
      "lota \(arguments.joined(separator: " ")) ended with \(result.code): \(result.errors)",
      sourceLocation: sourceLocation)
    return result
  }
}

/// One run of the executable on its way.
struct LotaProcess {
  let arguments: [String]
  private let process: Process
  /// Where its output goes.
  private let streams: TemporaryDirectory

  init(arguments: [String], process: Process, streams: TemporaryDirectory) {
    self.arguments = arguments
    self.process = process
    self.streams = streams
  }

  var isRunning: Bool { process.isRunning }

  func signal(_ number: Int32) { kill(process.processIdentifier, number) }

  /// Waits for the end.
  func finish() throws -> LotaResult {
    process.waitUntilExit()
    return LotaResult(
      arguments: arguments, code: process.terminationStatus, wasSignalled: process.terminationReason == .uncaughtSignal,
      output: try text("stdout"), errors: try text("stderr"))
  }

  private func text(_ name: String) throws -> String {
    String(decoding: try Data(contentsOf: URL(fileURLWithPath: streams.file(name))), as: UTF8.self)
  }
}
