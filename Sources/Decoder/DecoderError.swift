public import Foundation

public enum DecoderError: Error, Equatable, Sendable {
  case emptyBatch
  case emptySequence(index: Int)
  case noLabels
  case tokenOutsideVocabulary(token: Int, vocabularySize: Int)
  case invalidOption(name: String, value: String, expected: String)
  case unsupportedDType(String)
  case notFinite(what: String)
  case contextFull(tokens: Int, limit: Int)
}

extension DecoderError: CustomStringConvertible, LocalizedError {
  public var description: String {
    switch self {
    case .emptyBatch: "the batch holds no tokens"
    case .emptySequence(let index): "sequence \(index) of the batch holds no tokens: give it at least one"
    case .noLabels: "the batch holds no labels"
    case .tokenOutsideVocabulary(let token, let size):
      "token \(token) lies outside the model's vocabulary of \(size): the tokenizer belongs to another model"
    case .invalidOption(let name, let value, let expected): "\(name) is \(value), but must be \(expected)"
    case .unsupportedDType(let name): "a model cannot compute in \(name): use float32, bfloat16, float16 or float64"
    case .notFinite(let what):
      "\(what) holds NaN or infinity: the weights are damaged, or the learning rate is too high"
    case .contextFull(let tokens, let limit):
      "\(tokens) tokens do not leave room for an answer within the \(limit) that the model was made for: give it fewer"
    }
  }

  public var errorDescription: String? { description }
}
