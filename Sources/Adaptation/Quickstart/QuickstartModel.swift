public import Foundation

/// Where the quickstart's model comes from.
public enum QuickstartModel {
  public enum Failure: Error, Equatable, Sendable, CustomStringConvertible, LocalizedError {
    case noScript
    case fetchFailed(status: Int)

    public var description: String {
      switch self {
      case .noScript:
        "the script that fetches the model is missing: start through ./lota in the repository, or name a file with --gguf"
      case .fetchFailed(let status): "the model could not be fetched (status \(status)); the lines above say why"
      }
    }

    public var errorDescription: String? { description }
  }

  /// The repository's fetching script; nil when the program runs outside the repository.
  public static var fetchScript: String? {
    guard let root = ProcessInfo.processInfo.environment["LOTA_ROOT"] else { return nil }
    let script = root + "/Scripts/fetch-model"
    return FileManager.default.isExecutableFile(atPath: script) ? script : nil
  }

  /// Fetches SmolLM2-135M-Instruct as GGUF, or finds it in the cache. Returns its path.
  public static func fetch() throws -> String {
    guard let script = fetchScript else { throw Failure.noScript }
    let process = Process()
    let pipe = Pipe()
    process.executableURL = URL(fileURLWithPath: script)
    process.standardOutput = pipe
    try process.run()
    let output = pipe.fileHandleForReading.readDataToEndOfFile()
    process.waitUntilExit()
    guard process.terminationStatus == 0 else { throw Failure.fetchFailed(status: Int(process.terminationStatus)) }
    return String(decoding: output, as: UTF8.self).trimmingCharacters(in: .whitespacesAndNewlines)
  }
}
