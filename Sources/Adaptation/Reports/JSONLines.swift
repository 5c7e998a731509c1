import Foundation

/// Files of records, one a line, that a run appends to.
enum JSONLines {
  /// All complete records. A last line that a crash cut short is left out.
  ///
  /// - Throws: ``ReportError``
  static func read<Record: Decodable>(path: String) throws -> [Record] {
    guard let data = FileManager.default.contents(atPath: path) else {
      throw ReportError.unreadable(path: path)
    }
    let decoder = JSONDecoder()
    let lines = data.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false)
    var records: [Record] = []
    for (index, line) in lines.enumerated() where !line.isEmpty {
      do {
        records.append(try decoder.decode(Record.self, from: Data(line)))
      } catch {
        if index == lines.count - 1 { break }
        throw ReportError.malformedMetrics(path: path, line: index + 1)
      }
    }
    return records
  }
}
