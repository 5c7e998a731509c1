public import Foundation

/// Why a tokenizer could not be loaded. Every case names the file.
public enum TokenizerError: Error, Equatable, Sendable {
  case missingFile(path: String)
  case unreadableFile(path: String, reason: String)
  case malformedJSON(path: String, line: Int, column: Int, reason: String)
  case missingField(path: String, field: String)
  case wrongType(path: String, field: String, expected: String)
  /// A model, normalizer, pre-tokenizer, post-processor or decoder that this library does not have.
  case unsupportedComponent(path: String, field: String, type: String)
  case unsupportedOption(path: String, field: String, value: String)
  case unsupportedPattern(path: String, field: String, pattern: String, reason: String)
  case malformedMerge(path: String, index: Int, merge: String)
  case unknownMergeToken(path: String, index: Int, token: String)
  case invalidID(path: String, token: String, id: String)
  case duplicateID(path: String, id: Int, first: String, second: String)
  case duplicateToken(path: String, token: String)
  case addedTokenMismatch(path: String, token: String, declared: Int, expected: Int)
  case unknownToken(path: String, field: String, token: String)
}

extension TokenizerError: CustomStringConvertible, LocalizedError {
  public var errorDescription: String? { description }

  public var description: String {
    switch self {
    case .missingFile(let path):
      "\(path): no such file; the model directory needs it"
    case .unreadableFile(let path, let reason):
      "\(path): cannot be read (\(reason))"
    case .malformedJSON(let path, let line, let column, let reason):
      "\(path): malformed JSON at line \(line), column \(column): \(reason)"
    case .missingField(let path, let field):
      "\(path): field '\(field)' is missing"
    case .wrongType(let path, let field, let expected):
      "\(path): field '\(field)' must be \(expected)"
    case .unsupportedComponent(let path, let field, let type):
      "\(path): \(field) of type '\(type)' is not supported; use a byte-level or SentencePiece-style BPE tokenizer"
    case .unsupportedOption(let path, let field, let value):
      "\(path): \(field) = \(value) is not supported"
    case .unsupportedPattern(let path, let field, let pattern, let reason):
      "\(path): the regular expression in \(field) is not supported: \(reason) in \(pattern.debugDescription)"
    case .malformedMerge(let path, let index, let merge):
      "\(path): merge \(index) must be two tokens, found \(merge.debugDescription)"
    case .unknownMergeToken(let path, let index, let token):
      "\(path): merge \(index) names token \(token.debugDescription), which is not in the vocabulary"
    case .invalidID(let path, let token, let id):
      "\(path): token \(token.debugDescription) has id \(id); ids run from 0 to \(Vocabulary.maximumID)"
    case .duplicateID(let path, let id, let first, let second):
      "\(path): tokens \(first.debugDescription) and \(second.debugDescription) share id \(id)"
    case .duplicateToken(let path, let token):
      "\(path): token \(token.debugDescription) appears twice in the vocabulary"
    case .addedTokenMismatch(let path, let token, let declared, let expected):
      "\(path): added token \(token.debugDescription) declares id \(declared), but the vocabulary gives it \(expected)"
    case .unknownToken(let path, let field, let token):
      "\(path): \(field) names token \(token.debugDescription), which is not in the vocabulary"
    }
  }
}
