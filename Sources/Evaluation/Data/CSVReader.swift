internal import Primitives

/// Comma-separated values with a header (RFC 4180): fields may stand in double quotes, and then hold commas, line ends and
/// doubled quotes.
struct CSVReader {
  private let bytes: [UInt8]
  private let path: String
  private var position = 0
  private var line = 1

  static func rows(_ bytes: ArraySlice<UInt8>, path: String) throws -> [DataRow] {
    var reader = CSVReader(bytes: Array(bytes), path: path)
    guard let header = try reader.record(row: 0)?.fields else { return [] }
    guard Set(header).count == header.count else {
      throw EvaluationError.malformedFile(path: path, line: 1, reason: "the header names a field twice")
    }
    var rows: [DataRow] = []
    while let (line, fields) = try reader.record(row: rows.count + 1) {
      let place = RowPlace(path: path, row: rows.count + 1, line: line)
      guard fields.count == header.count else {
        throw EvaluationError.malformedRow(
          place, reason: "\(fields.count) fields, the header has \(header.count); quote fields that hold commas")
      }
      rows.append(DataRow(place: place, value: .object(zip(header, fields).map { ($0, .string($1)) })))
    }
    return rows
  }

  private init(bytes: [UInt8], path: String) {
    self.bytes = bytes
    self.path = path
  }

  /// The next record that is no blank line, with the line on which it begins.
  private mutating func record(row: Int) throws -> (line: Int, fields: [String])? {
    while position < bytes.count, bytes[position] == 0x0A || bytes[position] == 0x0D {
      if bytes[position] == 0x0A { line += 1 }
      position += 1
    }
    guard position < bytes.count else { return nil }
    let place = RowPlace(path: path, row: row, line: line)
    var fields: [String] = []
    while true {
      guard let text = String(validating: try field(place), as: UTF8.self) else {
        throw EvaluationError.malformedRow(place, reason: "field \(fields.count + 1) is not valid UTF-8")
      }
      fields.append(text)
      guard position < bytes.count, bytes[position] == UInt8(ascii: ",") else { break }
      position += 1
    }
    return (place.line ?? 0, fields)
  }

  /// The field at the position; ends at the comma, line end or end of file after it.
  private mutating func field(_ place: RowPlace) throws -> [UInt8] {
    guard position < bytes.count, bytes[position] == UInt8(ascii: "\"") else {
      let start = position
      while position < bytes.count, ![0x2C, 0x0A, 0x0D].contains(bytes[position]) { position += 1 }
      return Array(bytes[start..<position])
    }
    var content: [UInt8] = []
    position += 1
    while position < bytes.count {
      let byte = bytes[position]
      position += 1
      if byte == UInt8(ascii: "\"") {
        if position < bytes.count, bytes[position] == UInt8(ascii: "\"") {
          position += 1
        } else {
          guard position == bytes.count || [0x2C, 0x0A, 0x0D].contains(bytes[position]) else {
            throw EvaluationError.malformedRow(place, reason: "text follows a quoted field's end")
          }
          return content
        }
      }
      if byte == 0x0A { line += 1 }
      content.append(byte)
    }
    throw EvaluationError.malformedRow(place, reason: "a quoted field does not end")
  }
}
