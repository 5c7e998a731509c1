public import Foundation

/// Why a chat template could not be read, parsed or rendered.
public enum ChatTemplateError: Error, Equatable, Sendable {
  /// The source is not a template: where, and what was expected.
  case syntax(line: Int, String)
  /// A value was used in a way its type does not allow, or an undefined value was used as if it were there.
  case evaluation(line: Int, String)
  /// The template itself refused its input by `raise_exception`.
  case raised(line: Int, message: String)
  /// The template uses a part of Jinja that chat templates have no need of.
  case unsupported(line: Int, String)
  /// The template asked for more than `ChatTemplate.Limits` grants.
  case limitExceeded(line: Int, ChatTemplate.Limits.Kind, limit: Int)
  /// A file of a model directory that should hold the template cannot be used.
  case unreadable(path: String, reason: String)
  /// No built-in template has this name.
  case unknownName(String, known: [String])
}

extension ChatTemplateError: CustomStringConvertible, LocalizedError {
  public var description: String {
    switch self {
    case .syntax(let line, let what):
      "chat template, line \(line): \(what)"
    case .evaluation(let line, let what):
      "chat template, line \(line): \(what)"
    case .raised(let line, let message):
      "the chat template refused the conversation (line \(line)): \(message)"
    case .unsupported(let line, let what):
      "chat template, line \(line): \(what) is not supported; simplify the template or choose a named one"
    case .limitExceeded(let line, let kind, let limit):
      "chat template, line \(line): \(kind.rawValue) exceeds the limit of \(limit)"
    case .unreadable(let path, let reason):
      "chat template in \(path): \(reason)"
    case .unknownName(let name, let known):
      "no chat template is called '\(name)'; choose one of \(known.joined(separator: ", "))"
    }
  }

  public var errorDescription: String? { description }
}
