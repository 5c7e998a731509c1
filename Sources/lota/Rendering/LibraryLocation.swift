import Foundation

/// Where a loaded library lies.
enum LibraryLocation {
  /// nil where the system does not tell.
  static func directory(ofLibraryNamed name: String) -> String? {
    guard let maps = try? String(contentsOfFile: "/proc/self/maps", encoding: .utf8) else { return nil }
    let line = maps.split(separator: "\n").first { $0.contains("/" + name) }
    guard let path = line?.split(separator: " ", omittingEmptySubsequences: true).last else { return nil }
    return URL(fileURLWithPath: String(path)).deletingLastPathComponent().path
  }
}
