internal import Foundation
internal import Primitives
internal import Transport

/// A model behind an OpenAI-compatible address for chats.
public struct ChatEndpoint: Sendable {
  /// What one request brought.
  enum Reply {
    /// Perhaps empty.
    case text(String, usage: JSONValue?)
    /// An answer that is not of the agreed form.
    case malformed(String, reason: String)
    /// Nothing, but perhaps in a moment.
    case nothing(reason: String, retryAfterSeconds: Double?)
  }

  public let model: String
  let host: String
  private let url: URL
  private let key: String?
  private let maximumTokens: Int?
  private let client: HTTPClient

  private static let longestBody = 4 << 20

  /// - Parameters:
  ///   - address: with or without `/chat/completions` at its end.
  ///   - key: sent as a bearer token; never shown.
  ///   - maximumTokens: of a reply; nil leaves it to the server.
  /// - Throws: ``JudgeError``
  public init(
    address: String, model: String, key: String? = nil, maximumTokens: Int? = nil, timeoutSeconds: Double = 120
  ) throws {
    let suffix = "/chat/completions"
    let base = address.hasSuffix("/") ? String(address.dropLast()) : address
    guard let url = URL(string: base.hasSuffix(suffix) ? base : base + suffix), let scheme = url.scheme,
      ["http", "https"].contains(scheme), url.host?.isEmpty == false, url.user == nil
    else { throw JudgeError.badEndpoint(String(address.prefix(200))) }
    guard !model.isEmpty else { throw JudgeError.badModelName }
    self.url = url
    self.model = model
    self.key = key.map { $0.trimmingCharacters(in: .whitespacesAndNewlines) }.flatMap { $0.isEmpty ? nil : $0 }
    self.maximumTokens = maximumTokens
    host = HTTPClient.name(of: url)
    client = HTTPClient(timeoutSeconds: timeoutSeconds)
  }

  /// - Throws: ``JudgeError`` for a refusal that will not change.
  func ask(system: String, user: String) throws -> Reply {
    var members: [JSONValue.Member] = [
      ("model", .string(model)),
      (
        "messages",
        [["role": "system", "content": .string(system)], ["role": "user", "content": .string(user)]]
      ),
      ("temperature", 0),
    ]
    if let maximumTokens { members.append(("max_tokens", .integer(maximumTokens))) }
    var request = HTTPRequest(url, headers: ["Content-Type": "application/json", "Accept": "application/json"])
    request.method = "POST"
    request.body = Data(JSONValue.object(members).encoded(expandedLevels: 0))
    if let key { request.headers["Authorization"] = "Bearer \(key)" }
    let response: HTTPResponse
    let body: Data
    do {
      (response, body) = try client.send(request, limit: Self.longestBody)
    } catch let error as TransportError {
      // One too long has been paid for as any other.
      if case .bodyTooLong = error { return .malformed("", reason: "\(error)") }
      return .nothing(reason: "\(error)", retryAfterSeconds: nil)
    }
    switch response.status {
    case 200..<300: return Self.reply(in: body)
    case 300..<400: throw JudgeError.redirected(host: host, status: response.status)
    case let status where RetryPolicy.isTransient(status: status):
      return .nothing(
        reason: "\(host): answers with status \(status)", retryAfterSeconds: response.retryAfterSeconds())
    default: throw JudgeError.refused(host: host, status: response.status, message: message(in: body))
    }
  }

  private static func parse(_ body: Data) -> JSONValue? {
    try? body.withUnsafeBytes { try JSONParser.parse($0, rules: .init(allowsDuplicateKeys: true)) }
  }

  private static func reply(in body: Data) -> Reply {
    let shown = String(decoding: body.prefix(2000), as: UTF8.self)
    guard let value = parse(body) else { return .malformed(shown, reason: "not JSON") }
    guard let message = value["choices"]?.arrayValue?.first?["message"] else {
      return .malformed(shown, reason: "no choices[0].message")
    }
    switch message["content"] {
    case .string(let text): return .text(text, usage: value["usage"])
    case .null, nil: return .text("", usage: value["usage"])
    case .array(let parts):
      return .text(parts.compactMap { $0["text"]?.stringValue }.joined(), usage: value["usage"])
    default: return .malformed(shown, reason: "content is no text")
    }
  }

  /// The server's words, short, on one line, and without the key should it repeat it.
  private func message(in body: Data) -> String {
    let error = Self.parse(body)?["error"]
    var text = error?["message"]?.stringValue ?? error?.stringValue ?? String(decoding: body.prefix(200), as: UTF8.self)
    if let key { text = text.replacingOccurrences(of: key, with: "(key)") }
    let words = text.split(whereSeparator: \.isWhitespace).joined(separator: " ")
    return String(words.unicodeScalars.filter { $0.value >= 0x20 && $0.value != 0x7F }.prefix(200).map(Character.init))
  }
}
