import Foundation
import Primitives

/// Parts drawn from a file's rows at random, equal rows on one side.
///
/// Works on any JSON Lines or JSON array of objects, in whatever form its rows are; they are written as they were read.
public struct DataSplit: Equatable, Sendable {
  public struct Part: Equatable, Hashable, Sendable {
    public let name: String
    public let rows: Int

    public init(name: String, rows: Int) {
      self.name = name
      self.rows = rows
    }

    /// `NAME=ROWS`; nil for another form. A name is a file's without its ending: letters, digits, `_`, `-` and `.`.
    public init?(_ text: String) {
      let sides = text.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
      guard sides.count == 2, let rows = Int(sides[1]), rows > 0, !sides[0].isEmpty, !sides[0].hasPrefix("."),
        sides[0].allSatisfy({ $0.isASCII && ($0.isLetter || $0.isNumber || "_-.".contains($0)) })
      else { return nil }
      self.init(name: String(sides[0]), rows: rows)
    }
  }

  /// Rows in the file.
  public let total: Int
  /// Rows that equal an earlier one.
  public let duplicates: Int
  /// Rows in no part.
  public let remainder: Int
  /// In the order asked for; JSON Lines, rows in the file's order.
  public let contents: [(part: Part, bytes: [UInt8])]

  public static func == (left: DataSplit, right: DataSplit) -> Bool {
    left.total == right.total && left.remainder == right.remainder
      && left.contents.elementsEqual(right.contents) { $0.part == $1.part && $0.bytes == $1.bytes }
  }

  /// The same file, parts and seed give the same split on every machine.
  ///
  /// - Throws: ``TrainingDataError`` for a row that is no JSON object; ``DataSplitError``.
  public init(path: String, parts: [Part], seed: UInt64 = 0) throws {
    var scanner = try RowScanner(path: path)
    var lines: [[UInt8]] = []
    var groups: [[Int]] = []
    var groupOfKey: [RowKey: Int] = [:]
    while let (location, bytes) = try scanner.next() {
      let key = try Self.key(bytes, at: location)
      if let group = groupOfKey[key] {
        groups[group].append(lines.count)
      } else {
        groupOfKey[key] = groups.count
        groups.append([lines.count])
      }
      // Line breaks stand between tokens only: a string cannot hold one.
      lines.append(bytes.map { $0 == 0x0A || $0 == 0x0D ? 0x20 : $0 })
    }
    guard !lines.isEmpty else { throw TrainingDataError.noRows(path: path) }
    let wanted = parts.reduce(0) { $0 + min($1.rows, lines.count + 1) }
    guard wanted <= lines.count else {
      throw DataSplitError.tooFewRows(path: path, rows: lines.count, wanted: parts.map(\.rows))
    }
    total = lines.count
    duplicates = lines.count - groups.count
    remainder = lines.count - wanted
    let chosen = try Self.draw(groups, parts: parts, seed: seed, path: path)
    contents = zip(parts, chosen).map { part, rows in
      (part, rows.sorted().flatMap { lines[$0] + [0x0A] })
    }
  }

  /// Groups in random order, each to the first part that has room for it.
  private static func draw(_ groups: [[Int]], parts: [Part], seed: UInt64, path: String) throws -> [[Int]] {
    var order = groups
    var stream = RandomStream(seed: seed, purpose: "split")
    stream.shuffle(&order)
    var chosen = [[Int]](repeating: [], count: parts.count)
    for group in order {
      if let part = parts.indices.first(where: { chosen[$0].count + group.count <= parts[$0].rows }) {
        chosen[part] += group
      }
    }
    for (part, rows) in zip(parts, chosen) where rows.count < part.rows {
      throw DataSplitError.groupsDoNotFit(path: path, part: part.name, wanted: part.rows, found: rows.count)
    }
    return chosen
  }

  /// Equal for objects that differ in white space and the order of members alone.
  private static func key(_ bytes: [UInt8], at location: RowLocation) throws -> RowKey {
    let value: JSONValue
    do {
      value = try bytes.withUnsafeBytes { try JSONParser.parse($0, rules: .init(keepsNumerals: true)) }
    } catch let error as JSONParser.Failure {
      throw TrainingDataError.malformedJSON(location, reason: error.reason)
    }
    guard case .object = value else { throw TrainingDataError.notAnObject(location, found: value.kind) }
    return RowKey([String(decoding: sorted(value).encoded(expandedLevels: 0), as: UTF8.self)])
  }

  private static func sorted(_ value: JSONValue) -> JSONValue {
    switch value {
    case .object(let members):
      .object(
        members.map { ($0.key, sorted($0.value)) }.sorted { $0.0.utf8.lexicographicallyPrecedes($1.0.utf8) })
    case .array(let elements): .array(elements.map(sorted))
    default: value
    }
  }
}

/// Why a file cannot be split as asked.
public enum DataSplitError: Error, Equatable, Sendable, CustomStringConvertible {
  case tooFewRows(path: String, rows: Int, wanted: [Int])
  /// Only groups of equal rows are left, each larger than the room in the part.
  case groupsDoNotFit(path: String, part: String, wanted: Int, found: Int)

  public var description: String {
    switch self {
    case .tooFewRows(let path, let rows, let wanted):
      "\(path): has \(rows) rows, the parts ask for \(wanted.map(String.init).joined(separator: " + ")); ask for fewer"
    case .groupsDoNotFit(let path, let part, let wanted, let found):
      """
      \(path): equal rows must stay together, and so part '\(part)' gets \(found) of its \(wanted) rows; \
      ask for fewer, or remove duplicates first
      """
    }
  }
}
