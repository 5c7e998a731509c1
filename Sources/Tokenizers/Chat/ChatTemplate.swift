public import Foundation

/// A model's chat template: turns a conversation into the text the model was trained on.
///
/// Templates are the Jinja programs that tokenizers carry; they run here as in `transformers`, under limits that keep
/// a hostile one from hanging or exhausting memory. Left out are template inheritance and inclusion, and automatic
/// escaping: `safe` and `escape` give plain text, so that adding to it never escapes what is added.
public struct ChatTemplate: Sendable {
  /// What a template may use at most while rendering.
  public struct Limits: Equatable, Sendable {
    public enum Kind: String, Sendable {
      case steps = "the number of steps"
      case allocatedBytes = "the memory used"
      case outputBytes = "the size of a text"
      case nesting = "the nesting"
    }
    /// Expressions and statements evaluated.
    public var steps = 2_000_000
    /// Bytes of all texts and lists made, whether or not they are still held, and of what the making of one takes beside them.
    public var allocatedBytes = 1 << 25
    /// Bytes of the output, and of any one text on the way to it.
    public var outputBytes = 1 << 23
    /// Depth of statements, expressions and macro calls within each other.
    public var nesting = 150

    public init() {}

    subscript(kind: Kind) -> Int {
      switch kind {
      case .steps: steps
      case .allocatedBytes: allocatedBytes
      case .outputBytes: outputBytes
      case .nesting: nesting
      }
    }
  }

  /// A rendered conversation, with the places that `{% generation %}` marks as the model's own words.
  public struct Rendering: Equatable, Sendable {
    public var text: String
    /// UTF-8 offsets, in order; empty if the template marks nothing.
    public var generated: [Range<Int>]
  }

  public let source: String
  public var limits = Limits()
  private let body: [Jinja.Statement]

  /// - Throws: `ChatTemplateError.syntax`, or `.unsupported` for a tag that chat templates do not use.
  public init(source: String) throws {
    self.source = source
    body = try Jinja.Parser.statements(of: source)
  }

  // MARK: rendering

  /// The text of a conversation.
  ///
  /// - Parameters:
  ///   - addGenerationPrompt: whether the text should end where the model's next turn begins.
  ///   - variables: what else the template may use, such as `bos_token` and `eos_token`.
  /// - Throws: `ChatTemplateError.raised` if the template refuses the conversation, `.evaluation` if it is wrong
  ///   itself, `.limitExceeded` if it asks for too much.
  public func render(
    _ messages: [ChatMessage], addGenerationPrompt: Bool, variables: [String: String] = [:]
  ) throws -> String {
    try render(
      messages: messages.map { TemplateValue($0) }, addGenerationPrompt: addGenerationPrompt,
      variables: variables.mapValues { .string($0) }
    ).text
  }

  /// As above, for messages and variables of any shape (tools, several parts of content), with marked places.
  ///
  /// - Parameter now: the time that `strftime_now` tells.
  public func render(
    messages: [TemplateValue], addGenerationPrompt: Bool, variables: [String: TemplateValue] = [:],
    now: Date = Date()
  ) throws -> Rendering {
    var context: [String: TemplateValue] = ["tools": .null, "documents": .null]
    context.merge(variables) { $1 }
    context["messages"] = .array(messages)
    context["add_generation_prompt"] = .boolean(addGenerationPrompt)
    let evaluator = Jinja.Evaluator(limits: limits) { Self.describe(now, format: $0) }
    let text = try evaluator.run(body, variables: context)
    return Rendering(text: text, generated: evaluator.generated)
  }

  private static func describe(_ date: Date, format: String) -> String {
    guard !format.isEmpty else { return "" }
    var seconds = time_t(date.timeIntervalSince1970.rounded(.down))
    var parts = tm()
    localtime_r(&seconds, &parts)
    var buffer = [CChar](repeating: 0, count: format.utf8.count * 8 + 256)
    let count = strftime(&buffer, buffer.count, format, &parts)
    return String(decoding: buffer[..<count].map { UInt8(bitPattern: $0) }, as: UTF8.self)
  }

  // MARK: loading

  /// The template of a model directory: `chat_template.jinja`, or the one named `default` in `tokenizer_config.json`.
  ///
  /// - Returns: nil if the directory has neither.
  public static func load(directory: String) throws -> ChatTemplate? {
    let folder = URL(fileURLWithPath: directory, isDirectory: true)
    let file = folder.appendingPathComponent("chat_template.jinja")
    if FileManager.default.fileExists(atPath: file.path) {
      return try ChatTemplate(source: String(decoding: try read(file), as: UTF8.self))
    }
    let configuration = folder.appendingPathComponent("tokenizer_config.json")
    guard FileManager.default.fileExists(atPath: configuration.path) else { return nil }
    do {
      return try JSONDecoder().decode(Configuration.self, from: try read(configuration)).chatTemplate?.source
        .map { try ChatTemplate(source: $0) }
    } catch is DecodingError {
      throw ChatTemplateError.unreadable(
        path: configuration.path,
        reason: "chat_template must be a string or a list of {\"name\", \"template\"} in a JSON object")
    }
  }

  private static func read(_ file: URL) throws -> Data {
    do {
      return try Data(contentsOf: file)
    } catch {
      throw ChatTemplateError.unreadable(path: file.path, reason: "the file cannot be read")
    }
  }

  private struct Configuration: Decodable {
    struct Named: Decodable {
      var name: String
      var template: String
    }
    enum Entry: Decodable {
      case one(String)
      case several([Named])

      init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        if let text = try? container.decode(String.self) {
          self = .one(text)
        } else {
          self = .several(try container.decode([Named].self))
        }
      }

      var source: String? {
        switch self {
        case .one(let text): text
        case .several(let list): list.first { $0.name == "default" }?.template
        }
      }
    }
    var chatTemplate: Entry?

    enum CodingKeys: String, CodingKey {
      case chatTemplate = "chat_template"
    }
  }
}
