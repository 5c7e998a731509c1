internal import Foundation
internal import Primitives

/// Reads rows: a JSON array of objects (a file whose first character is `[`), JSON Lines, or CSV with a header (a file
/// named `.csv`). A byte order mark, CRLF line ends and blank lines are skipped. The file is held in memory.
enum DataFile {
  /// - Throws: ``EvaluationError``; a file without rows is one.
  ///
  /// - Parameter ignoringIncompleteEnd: leaves out what follows the last line's end.
  static func rows(path: String, ignoringIncompleteEnd: Bool = false) throws -> [DataRow] {
    var bytes = try contents(of: path)[...]
    if ignoringIncompleteEnd {
      bytes = bytes.prefix(through: bytes.lastIndex(of: UInt8(ascii: "\n")) ?? bytes.endIndex - 1)
    }
    if bytes.starts(with: [0xEF, 0xBB, 0xBF]) { bytes = bytes.dropFirst(3) }
    let rows: [DataRow]
    if path.lowercased().hasSuffix(".csv") {
      rows = try CSVReader.rows(bytes, path: path)
    } else if bytes.first(where: { !isBlank($0) }) == UInt8(ascii: "[") {
      rows = try array(bytes, path: path)
    } else {
      rows = try lines(bytes, path: path)
    }
    guard !rows.isEmpty else { throw EvaluationError.noRows(path: path) }
    return rows
  }

  static func text(of path: String) throws -> String {
    guard let text = String(validating: try contents(of: path), as: UTF8.self) else {
      throw EvaluationError.unreadable(path: path, reason: "it is not valid UTF-8")
    }
    return text
  }

  private static func contents(of path: String) throws -> [UInt8] {
    var isDirectory: ObjCBool = false
    guard FileManager.default.fileExists(atPath: path, isDirectory: &isDirectory) else {
      throw EvaluationError.unreadable(path: path, reason: "no such file")
    }
    guard !isDirectory.boolValue else { throw EvaluationError.unreadable(path: path, reason: "it is a directory") }
    do {
      return [UInt8](try Data(contentsOf: URL(fileURLWithPath: path)))
    } catch {
      throw EvaluationError.unreadable(path: path, reason: "permission denied or read error")
    }
  }

  private static func isBlank(_ byte: UInt8) -> Bool { byte == 0x20 || byte == 0x0A || byte == 0x0D || byte == 0x09 }

  private static let rules = JSONParser.Rules(keepsNumerals: true)

  private static func array(_ bytes: ArraySlice<UInt8>, path: String) throws -> [DataRow] {
    let value: JSONValue
    do {
      value = try bytes.withUnsafeBytes { try JSONParser.parse($0, rules: rules) }
    } catch let error as JSONParser.Failure {
      let line = bytes.prefix(error.offset).count { $0 == UInt8(ascii: "\n") } + 1
      throw EvaluationError.malformedFile(path: path, line: line, reason: "malformed JSON: \(error.reason)")
    }
    return try (value.arrayValue ?? []).enumerated().map { index, element in
      try object(element, RowPlace(path: path, row: index + 1))
    }
  }

  private static func lines(_ bytes: ArraySlice<UInt8>, path: String) throws -> [DataRow] {
    var rows: [DataRow] = []
    var line = 0
    for content in bytes.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false) {
      line += 1
      guard !content.allSatisfy(isBlank) else { continue }
      let place = RowPlace(path: path, row: rows.count + 1, line: line)
      do {
        let value = try content.withUnsafeBytes { try JSONParser.parse($0, rules: rules) }
        rows.append(try object(value, place))
      } catch let error as JSONParser.Failure {
        throw EvaluationError.malformedRow(place, reason: "malformed JSON: \(error.reason)")
      }
    }
    return rows
  }

  private static func object(_ value: JSONValue, _ place: RowPlace) throws -> DataRow {
    guard case .object = value else {
      throw EvaluationError.malformedRow(place, reason: "expected an object, found \(value.kind)")
    }
    return DataRow(place: place, value: value)
  }
}
