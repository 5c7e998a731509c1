internal import Checkpoints
import Foundation

/// Appends records to `metrics.jsonl`, each line at once, so that a run that dies leaves all its finished steps.
public final class MetricsWriter {
  private let path: String
  private let handle: FileHandle

  /// Opens the file at its end, making it when it is not there.
  ///
  /// - Parameter isKept: which of the records already there stay: a run that resumes from a checkpoint drops those of
  ///   the steps it is about to repeat. A half-written last line goes in any case.
  /// - Throws: ``ReportError``.
  public init(path: String, keeping isKept: (MetricsRecord) -> Bool = { _ in true }) throws {
    self.path = path
    let lines = FileManager.default.fileExists(atPath: path) ? try MetricsRecord.read(path: path).filter(isKept) : []
    let text = lines.map { $0.jsonLine + "\n" }.joined()
    handle = try ReportError.wrapping(path) {
      try FileSystem.writeAtomically(text, to: path)
      let handle = try FileHandle(forWritingTo: URL(fileURLWithPath: path))
      try handle.seekToEnd()
      return handle
    }
  }

  deinit { try? handle.close() }

  /// Throws: ``ReportError/unwritable(path:reason:)``, for instance when the disk is full.
  public func write(_ record: MetricsRecord) throws {
    try ReportError.wrapping(path) { try handle.write(contentsOf: Data((record.jsonLine + "\n").utf8)) }
  }
}
