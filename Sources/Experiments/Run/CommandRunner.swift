internal import Foundation

/// Runs `lota` commands: each stage is a process of its own, so that its peak memory is its own and its end is the end of
/// all it held.
public protocol CommandRunner {
  /// - Parameters:
  ///   - arguments: verb and options, without the program's name.
  ///   - log: file that gets what the command says.
  ///   - progress: its latest line.
  /// - Returns: what it printed, and its exit status.
  /// - Throws: ``CommandInterruption``
  func run(_ arguments: [String], log: String, progress: (String) -> Void) throws -> CommandOutput
}

/// The user wants no more: the command was ended, or not begun.
public struct CommandInterruption: Error {
  public init() {}
}

public struct CommandOutput: Equatable, Sendable {
  public var text: String
  public var status: Int32
  /// The last line that it said beside its output.
  public var lastLine: String

  public init(text: String, status: Int32, lastLine: String = "") {
    self.text = text
    self.status = status
    self.lastLine = lastLine
  }
}

/// Runs the commands with a program file.
public struct ProcessRunner: CommandRunner {
  private let executable: String
  private let isInterrupted: @Sendable () -> Bool

  /// - Parameter isInterrupted: asked while a command runs; once it is true the command gets SIGTERM, upon which training saves
  ///   what it needs to go on.
  public init(executable: String, isInterrupted: @escaping @Sendable () -> Bool = { false }) {
    self.executable = executable
    self.isInterrupted = isInterrupted
  }

  /// The environment's name for the number of the process that started this one.
  public static let parentVariable = "LOTA_PARENT"

  public func run(_ arguments: [String], log: String, progress: (String) -> Void) throws -> CommandOutput {
    guard !isInterrupted() else { throw CommandInterruption() }
    let process = Process()
    process.executableURL = URL(fileURLWithPath: executable)
    process.arguments = arguments
    var environment = ProcessInfo.processInfo.environment
    environment[Self.parentVariable] = "\(ProcessInfo.processInfo.processIdentifier)"
    process.environment = environment
    let (output, said) = (log + ".out", Pipe())
    for path in [output, log] { _ = FileManager.default.createFile(atPath: path, contents: nil) }
    process.standardInput = FileHandle.nullDevice
    process.standardOutput = try FileHandle(forWritingTo: URL(fileURLWithPath: output))
    process.standardError = said
    let logFile = try FileHandle(forWritingTo: URL(fileURLWithPath: log))
    try process.run()
    try said.fileHandleForWriting.close()
    Thread.detachNewThread { [isInterrupted] in
      while process.isRunning, !isInterrupted() { usleep(100_000) }
      if process.isRunning { process.terminate() }
    }
    var last = ""
    // What is there at once; an end of the file when the command has ended.
    while case let part = said.fileHandleForReading.availableData, !part.isEmpty {
      try logFile.write(contentsOf: part)
      for line in String(decoding: part, as: UTF8.self).split(whereSeparator: \.isNewline) {
        last = String(line)
        progress(last)
      }
    }
    process.waitUntilExit()
    let text = String(decoding: try Data(contentsOf: URL(fileURLWithPath: output)), as: UTF8.self)
    try FileManager.default.removeItem(atPath: output)
    // One that came to its end all the same has a result.
    if process.terminationStatus != 0, isInterrupted() { throw CommandInterruption() }
    return CommandOutput(text: text, status: process.terminationStatus, lastLine: last)
  }
}
