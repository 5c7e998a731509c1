import Foundation
import TestSupport
import Testing

extension TemporaryDirectory {
  func file(_ name: String) -> String { self(name) }

  func exists(_ name: String) -> Bool { FileManager.default.fileExists(atPath: file(name)) }

  func contents(_ name: String) throws -> Data { try Data(contentsOf: URL(fileURLWithPath: file(name))) }

  func text(_ name: String) throws -> String { String(decoding: try contents(name), as: UTF8.self) }

  func write(_ text: String, to name: String) throws {
    try Data(text.utf8).write(to: URL(fileURLWithPath: file(name)))
  }

  func copy(_ name: String, to copy: String) throws {
    try FileManager.default.copyItem(atPath: file(name), toPath: file(copy))
  }

  /// Every file and directory below, temporary ones too.
  func everything() -> Set<String> {
    Set((FileManager.default.enumerator(atPath: path)?.allObjects ?? []).compactMap { $0 as? String })
  }

  /// Keeps a file's first bytes.
  func truncate(_ name: String, to count: Int) throws {
    try contents(name).prefix(count).write(to: URL(fileURLWithPath: file(name)))
  }

  /// Replaces the first occurrence of some text in a file, which need not be all text.
  func replace(_ old: String, by new: String, in name: String, sourceLocation: SourceLocation = #_sourceLocation) throws
  {
    var data = try contents(name)
    let range = try #require(
      data.firstRange(of: Data(old.utf8)), "\(name) does not hold '\(old)'", sourceLocation: sourceLocation)
    data.replaceSubrange(range, with: Data(new.utf8))
    try data.write(to: URL(fileURLWithPath: file(name)))
  }

  func remove(_ name: String) throws { try FileManager.default.removeItem(atPath: file(name)) }
}
