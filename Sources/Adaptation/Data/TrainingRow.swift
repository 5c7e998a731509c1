import Foundation
import Primitives

/// One turn of a conversation, as a row holds it.
public struct RowMessage: Equatable, Sendable {
  public var role: String
  public var content: String

  public init(role: String, content: String) {
    self.role = role
    self.content = content
  }

  /// Only the assistant's turns are learned.
  public var isLearned: Bool { role == "assistant" }
}

/// A row's content, free of the form it was written in.
public enum TrainingRow: Equatable, Sendable {
  case completion(prompt: String, completion: String)
  case conversation([RowMessage])
  case text(String)
}

/// Turns a row's bytes into a ``TrainingRow``; the first row decides the format unless one is named.
struct RowParser {
  private(set) var format: RowFormat?
  /// Numbers may be of any size: none of them is read.
  private static let rules = JSONParser.Rules(keepsNumerals: true)

  init(format: RowFormat? = nil) { self.format = format }

  mutating func parse(_ bytes: [UInt8], at location: RowLocation) throws -> TrainingRow {
    let fields = try object(bytes, at: location)
    guard let format = format ?? RowFormat.detect(fields: Set(fields.keys)) else {
      throw TrainingDataError.unknownFormat(location, fields: fields.keys.sorted())
    }
    self.format = format
    let row = RowFields(fields: fields, location: location, format: format)
    switch format {
    case .promptCompletion:
      let prompt = try row.string("prompt")
      return .completion(prompt: prompt, completion: try row.nonEmptyString("completion"))
    case .instruction:
      let prompt = InstructionPrompt.text(
        instruction: try row.string("instruction"), input: try row.optionalString("input"))
      return .completion(prompt: prompt, completion: try row.nonEmptyString("output"))
    case .messages:
      return .conversation(try row.messages())
    case .text:
      return .text(try row.nonEmptyString("text"))
    }
  }

  private func object(_ bytes: [UInt8], at location: RowLocation) throws -> [String: JSONValue] {
    guard String(validating: bytes, as: UTF8.self) != nil else {
      throw TrainingDataError.invalidUTF8(location, byte: Self.firstInvalidByte(bytes))
    }
    guard !bytes.isEmpty else { throw TrainingDataError.malformedJSON(location, reason: "the row is empty") }
    let value: JSONValue
    do {
      value = try bytes.withUnsafeBytes { try JSONParser.parse($0, rules: Self.rules) }
    } catch let error as JSONParser.Failure {
      throw TrainingDataError.malformedJSON(location, reason: "\(error.reason) at byte \(error.offset + 1) of the row")
    }
    guard let fields = value.objectValue else { throw TrainingDataError.notAnObject(location, found: value.kind) }
    return fields
  }

  /// Counted from one: the byte after the longest valid beginning.
  private static func firstInvalidByte(_ bytes: [UInt8]) -> Int {
    var decoder = UTF8()
    var iterator = bytes.makeIterator()
    var valid = 0
    while case .scalarValue(let scalar) = decoder.decode(&iterator) { valid += UTF8.width(scalar) }
    return valid + 1
  }

}

/// A row's fields, read with errors that name the row and the field.
private struct RowFields {
  let fields: [String: JSONValue]
  let location: RowLocation
  let format: RowFormat

  func string(_ name: String) throws -> String {
    guard let value = fields[name] else {
      throw TrainingDataError.missingField(location, field: name, format: format)
    }
    return try string(value, name)
  }

  func nonEmptyString(_ name: String) throws -> String {
    let text = try string(name)
    guard !text.isEmpty else { throw TrainingDataError.noLabels(location, reason: "field '\(name)' is empty") }
    return text
  }

  func optionalString(_ name: String) throws -> String {
    guard let value = fields[name], value != .null else { return "" }
    return try string(value, name)
  }

  func messages() throws -> [RowMessage] {
    guard let value = fields["messages"] else {
      throw TrainingDataError.missingField(location, field: "messages", format: format)
    }
    guard case .array(let elements) = value else {
      throw TrainingDataError.wrongType(location, field: "messages", expected: "an array", found: value.kind)
    }
    let messages = try elements.enumerated().map { index, element in
      let name = "messages[\(index)]"
      guard let message = element.objectValue else {
        throw TrainingDataError.wrongType(location, field: name, expected: "an object", found: element.kind)
      }
      return RowMessage(
        role: try string(message, "role", in: name), content: try string(message, "content", in: name))
    }
    guard messages.contains(where: { $0.isLearned && !$0.content.isEmpty }) else {
      throw TrainingDataError.noLabels(location, reason: "no message of role 'assistant' has any content")
    }
    return messages
  }

  private func string(_ object: [String: JSONValue], _ key: String, in parent: String) throws -> String {
    guard let value = object[key] else {
      throw TrainingDataError.missingField(location, field: "\(parent).\(key)", format: format)
    }
    return try string(value, "\(parent).\(key)")
  }

  private func string(_ value: JSONValue, _ name: String) throws -> String {
    guard case .string(let text) = value else {
      throw TrainingDataError.wrongType(location, field: name, expected: "a string", found: value.kind)
    }
    return text
  }
}
