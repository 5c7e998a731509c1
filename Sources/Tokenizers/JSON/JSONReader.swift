internal import Foundation
internal import Primitives

/// Reads the JSON files of a tokenizer.
enum JSONReader {
  /// The vocabulary itself looks for tokens given twice, and numbers are shown as they were written.
  private static let rules = JSONParser.Rules(allowsDuplicateKeys: true, keepsNumerals: true, maximumDepth: 127)

  /// - Throws: `missingFile`, `unreadableFile` or `malformedJSON`.
  static func read(file: String) throws -> JSONNode {
    var isDirectory: ObjCBool = false
    guard FileManager.default.fileExists(atPath: file, isDirectory: &isDirectory) else {
      throw TokenizerError.missingFile(path: file)
    }
    guard !isDirectory.boolValue else {
      throw TokenizerError.unreadableFile(path: file, reason: "it is a directory")
    }
    let data: Data
    do {
      data = try Data(contentsOf: URL(fileURLWithPath: file))
    } catch {
      throw TokenizerError.unreadableFile(path: file, reason: error.localizedDescription)
    }
    return try data.withUnsafeBytes { try parse($0, file: file) }
  }

  private static func parse(_ bytes: UnsafeRawBufferPointer, file: String) throws -> JSONNode {
    do {
      return JSONNode(value: try JSONParser.parse(bytes, rules: rules), file: file, field: "")
    } catch {
      let before = bytes[..<error.start]
      let line = before.count { $0 == UInt8(ascii: "\n") } + 1
      let lineStart = before.lastIndex(of: UInt8(ascii: "\n")).map { $0 + 1 } ?? 0
      throw TokenizerError.malformedJSON(
        path: file, line: line, column: error.start - lineStart + 1, reason: reason(error))
    }
  }

  /// In words for files that people edit.
  private static func reason(_ failure: JSONParser.Failure) -> String {
    switch failure.problem {
    case .trailingText: "something follows the value"
    case .tooDeep(let limit): "nested deeper than \(limit + 1) levels"
    case .missingValue: "the file ends where a value is due"
    case .notAValue: "unexpected character"
    case .missingDigit: "expected a digit"
    case .missingKey: "expected a name"
    case .unclosedObject: "expected ',' or '}'"
    case .unclosedArray: "expected ',' or ']'"
    case .invalidUTF8: "a string is not valid UTF-8"
    case .controlCharacter: "a control character in a string must be escaped"
    case .unterminatedString, .cutEscape: "a string does not end"
    case .notHexadecimal: "expected a hexadecimal digit"
    case .missingSurrogate, .unpairedSurrogate: "half a surrogate pair"
    case .missingColon, .leadingZero, .numberOutOfRange, .duplicateKey, .unknownEscape: failure.reason
    }
  }
}
