import Foundation
import Testing
import Tokenizers

@Suite struct ChatTemplateTests {
  private let conversation = [
    ChatMessage(role: "user", content: "Hi"), ChatMessage(role: "assistant", content: "Hello."),
  ]

  private func error(_ body: () throws -> Void) -> ChatTemplateError? {
    do {
      try body()
      return nil
    } catch {
      return error as? ChatTemplateError
    }
  }

  private func rendered(_ source: String, limits: ChatTemplate.Limits = .init()) throws -> String {
    var template = try ChatTemplate(source: source)
    template.limits = limits
    return try template.render(conversation, addGenerationPrompt: false)
  }

  // MARK: the interface

  @Test func rendersMessagesWithVariables() throws {
    let template = try ChatTemplate(
      source: "{{ bos_token }}{% for m in messages %}{{ m.role }}:{{ m.content }}{{ eos_token }}{% endfor %}")
    let text = try template.render(
      conversation, addGenerationPrompt: true, variables: ["bos_token": "<s>", "eos_token": "</s>"])
    #expect(text == "<s>user:Hi</s>assistant:Hello.</s>")
  }

  @Test func toolsAreNoneUnlessGiven() throws {
    #expect(try rendered("{{ tools is none }} {{ documents is none }} {{ bos_token is defined }}") == "True True False")
  }

  @Test func marksWhatTheModelSays() throws {
    let template = try ChatTemplate.named("chatml")
    let rendering = try template.render(messages: conversation.map { TemplateValue($0) }, addGenerationPrompt: false)
    let bytes = Array(rendering.text.utf8)
    #expect(rendering.generated.map { String(decoding: bytes[$0], as: UTF8.self) } == ["Hello.<|im_end|>"])
  }

  @Test(arguments: ChatTemplate.names)
  func namedTemplatesMarkEveryAnswer(_ name: String) throws {
    let messages: [TemplateValue] = (conversation + conversation).map { TemplateValue($0) }
    let rendering = try ChatTemplate.named(name).render(
      messages: messages, addGenerationPrompt: false, variables: ["bos_token": "<s>", "eos_token": "</s>"])
    let bytes = Array(rendering.text.utf8)
    let answers = rendering.generated.map { String(decoding: bytes[$0], as: UTF8.self) }
    #expect(answers.count == 2)
    #expect(answers.allSatisfy { $0.contains("Hello.") && ($0.hasSuffix(">") || $0.hasSuffix("</s>")) })
  }

  @Test func tellsTheTime() throws {
    let template = try ChatTemplate(source: "{{ strftime_now('%Y') }}|{{ strftime_now('') }}")
    let now = Date(timeIntervalSince1970: 1_721_952_000 + 43_200)
    #expect(try template.render(messages: [], addGenerationPrompt: false, now: now).text == "2024|")
  }

  @Test func messagesAreCodable() throws {
    let json = Data(#"{"role": "user", "content": "Hi"}"#.utf8)
    #expect(try JSONDecoder().decode(ChatMessage.self, from: json) == conversation[0])
  }

  // MARK: loading

  private func withDirectory(_ files: [String: String], _ body: (String) throws -> Void) throws {
    let folder = FileManager.default.temporaryDirectory.appendingPathComponent("chat-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: folder) }
    for (name, text) in files { try Data(text.utf8).write(to: folder.appendingPathComponent(name)) }
    try body(folder.path)
  }

  @Test(
    arguments: [
      ([:], nil),
      (["tokenizer_config.json": "{}"], nil),
      (["tokenizer_config.json": #"{"chat_template": null}"#], nil),
      (["tokenizer_config.json": #"{"chat_template": "one"}"#], "one"),
      (
        [
          "tokenizer_config.json":
            #"{"chat_template": [{"name": "rag", "template": "a"}, {"name": "default", "template": "b"}]}"#
        ], "b"
      ),
      (["tokenizer_config.json": #"{"chat_template": [{"name": "rag", "template": "a"}]}"#], nil),
      (["chat_template.jinja": "file", "tokenizer_config.json": #"{"chat_template": "one"}"#], "file"),
    ] as [([String: String], String?)])
  func loadsFromADirectory(_ files: [String: String], _ expected: String?) throws {
    try withDirectory(files) { directory in
      let source = try ChatTemplate.load(directory: directory)?.source
      #expect(source == expected)
    }
  }

  @Test(arguments: ["{", #"{"chat_template": 5}"#, #"{"chat_template": [{"name": "default"}]}"#])
  func refusesBrokenConfigurations(_ json: String) throws {
    try withDirectory(["tokenizer_config.json": json]) { directory in
      guard case .unreadable(let path, _)? = error({ _ = try ChatTemplate.load(directory: directory) }) else {
        Issue.record("\(json) was accepted")
        return
      }
      #expect(path.hasSuffix("tokenizer_config.json"))
    }
  }

  // MARK: errors

  @Test(arguments: [
    ("a\n\n{{ 1 + }}", "chat template, line 3: expected an expression, got '}}'"),
    ("{% if true %}\n\nx", "chat template, line 3: the template ends before elif or else or endif"),
    ("a\n{{ missing.x }}", "chat template, line 2: 'missing' is undefined"),
    ("{{\n\n 'a' + 1 }}", "chat template, line 3: '+' does not work between a string and a integer"),
    ("{{ messages[0].name.first }}", "chat template, line 1: 'dictionary object' has no attribute 'name'"),
    ("{{ 'a' | nonsense }}", "chat template, line 1: no filter is called 'nonsense'"),
    ("{{ raise_exception('only user') }}", "the chat template refused the conversation (line 1): only user"),
    (
      "{% include 'x' %}",
      "chat template, line 1: the tag 'include' is not supported; simplify the template or choose a named one"
    ),
  ])
  func errorsSayWhatAndWhere(_ source: String, _ message: String) {
    let found = error { _ = try rendered(source) }
    #expect(found?.localizedDescription == message)
  }

  @Test func unknownNamesListTheKnownOnes() {
    let found = error { _ = try ChatTemplate.named("nonsense") }
    #expect(found == .unknownName("nonsense", known: ChatTemplate.names))
    #expect(found?.description.contains("chatml, gemma, llama2") == true)
  }

  // MARK: hostile templates

  static let hostile: [(String, ChatTemplate.Limits.Kind)] = [
    (loop("{% set ns.x = ns.x ~ ns.x %}", count: 64), .outputBytes),
    (loop("{% set ns.x = ns.x + ns.x %}", count: 64, start: "'ab'"), .outputBytes),
    (loop("{% set ns.x = ns.x + ns.x %}", count: 64, start: "[1]"), .allocatedBytes),
    (loop("{% set ns.x = [ns.x] %}", count: 1000), .nesting),
    (loop("{% set ns.x = [ns.x, ns.x] %}", count: 60) + "{{ ns.x }}", .outputBytes),
    (loop("{% set ns.x = [ns.x, ns.x] %}", count: 60) + "{{ ns.x | tojson }}", .outputBytes),
    (
      loop("{% set ns.x = [ns.x, ns.x] %}", count: 60) + "{% set a = ns.x %}{% set ns.x = 'a' %}"
        + "{% for i in range(60) %}{% set ns.x = [ns.x, ns.x] %}{% endfor %}{{ a == ns.x }}", .steps
    ),
    ("{{ 'x' * 100000000000 }}", .outputBytes),
    ("{{ [1] * 100000000000 }}", .allocatedBytes),
    ("{{ 'x' * 4000000000000000000 * 4 }}", .outputBytes),
    ("{{ 'a'.ljust(10000000000) }}", .outputBytes),
    ("{{ 'a' | center(10000000000) }}", .outputBytes),
    ("{{ ('a' * 60000).replace('a', 'b' * 60000) }}", .outputBytes),
    ("{{ ('b' * 60000).join(('a' * 60000) | list) }}", .outputBytes),
    (nested("{% for a in range(99999) %}", "{% endfor %}", 5), .steps),
    (nested("{% for a in range(9999) %}", "{% endfor %}", 2, inner: String(repeating: "y", count: 9999)), .outputBytes),
    ("{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}", .nesting),
    ("{% macro m(f) %}{{ f(f) }}{% endmacro %}{{ m(m) }}", .nesting),
    ("{% for x in [1] recursive %}{{ loop([1]) }}{% endfor %}", .nesting),
    ("{{ " + nested("{", "}", 5000) + " }}", .nesting),
    ("{{ " + nested("(", ")", 100_000) + " }}", .nesting),
    ("{{ " + nested("[", "]", 5000) + " }}", .nesting),
    ("{{ 1" + String(repeating: " + 1", count: 50_000) + " }}", .nesting),
    ("{{ a" + String(repeating: ".a", count: 50_000) + " }}", .nesting),
    ("{{ a" + String(repeating: "|upper", count: 50_000) + " }}", .nesting),
    ("{{ " + String(repeating: "not ", count: 50_000) + "1 }}", .nesting),
    ("{{ " + String(repeating: "-", count: 50_000) + "1 }}", .nesting),
    (String(repeating: "{% if 1 %}", count: 5000), .nesting),
    ("{% set " + nested("(", ")", 5000) + " = 1 %}", .nesting),
    ("{{ 1" + String(repeating: " if 1 else 1", count: 5000) + " }}", .nesting),
  ]

  private static func loop(_ body: String, count: Int, start: String = "'a'") -> String {
    "{% set ns = namespace(x=\(start)) %}{% for i in range(\(count)) %}\(body){% endfor %}"
  }

  private static func nested(_ open: String, _ close: String, _ count: Int, inner: String = "") -> String {
    String(repeating: open, count: count) + inner + String(repeating: close, count: count)
  }

  @Test(arguments: hostile.indices)
  func hostileTemplatesEnd(_ index: Int) {
    let (source, kind) = Self.hostile[index]
    // Lower than by default, to end soon in a debug build too.
    var limits = ChatTemplate.Limits()
    (limits.steps, limits.allocatedBytes, limits.outputBytes) = (200_000, 1 << 24, 1 << 22)
    let clock = ContinuousClock()
    var found: ChatTemplateError?
    let duration = clock.measure { found = error { _ = try rendered(source, limits: limits) } }
    guard case .limitExceeded(_, let exceeded, _)? = found else {
      Issue.record("\(source.prefix(120)): \(String(describing: found))")
      return
    }
    #expect(exceeded == kind, "\(source.prefix(120))")
    #expect(duration < .seconds(20), "\(source.prefix(120))")
  }

  @Test func searchingIsLinear() throws {
    let source = "{% set a = 'a' * 200000 %}{{ ('a' * 100000 ~ 'b') in a }}{{ a.count('a' * 99999 ~ 'b') }}"
    #expect(try rendered(source) == "False0")
  }

  @Test func selfReferenceIsRefused() {
    for source in ["{% set ns = namespace() %}{% set ns.a = [ns] %}", "{% set ns = namespace() %}{% set ns.a = ns %}"] {
      guard case .unsupported? = error({ _ = try rendered(source) }) else {
        Issue.record("\(source) was accepted")
        continue
      }
    }
  }

  @Test func limitsCanBeLowered() {
    var limits = ChatTemplate.Limits()
    limits.outputBytes = 10
    let found = error { _ = try rendered("{{ messages[0].content }}\n{{ 'x' * 9 }}", limits: limits) }
    #expect(found == .limitExceeded(line: 2, .outputBytes, limit: 10))
  }
}
