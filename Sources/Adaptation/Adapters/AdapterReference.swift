internal import Foundation

/// An adapter's directory and a short name for it, from `NAME=DIR` or `DIR`.
public struct AdapterReference: Equatable, Sendable {
  public let name: String
  public let directory: String

  /// A plain directory is named after its last component that says something: `runs/sql/adapter` is `sql`, and a snapshot in the
  /// hub's cache after its repository: `models--owner--sql/snapshots/COMMIT` is `sql`.
  public init(_ text: String) {
    let parts = text.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
    if parts.count == 2, Self.isUsable(name: parts[0]) {
      (name, directory) = (parts[0], parts[1])
    } else {
      (name, directory) = (Self.name(of: text), text)
    }
  }

  /// Whether it is one word without `=` and `/`.
  static func isUsable(name: String) -> Bool {
    !name.isEmpty && !name.contains { $0.isWhitespace || $0 == "=" || $0 == "/" }
  }

  private static func name(of directory: String) -> String {
    let components = URL(fileURLWithPath: directory).standardizedFileURL.pathComponents.filter { $0 != "/" }
    if let folder = components.dropLast(2).last, folder.hasPrefix("models--"), components.dropLast().last == "snapshots"
    {
      return folder.components(separatedBy: "--").last ?? folder
    }
    let last = components.last { $0 != "adapter" } ?? "adapter"
    return String(last.map { $0.isWhitespace || $0 == "=" ? "-" : $0 })
  }
}
