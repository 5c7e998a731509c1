import TestSupport
import Testing
import Tokenizers

/// Templates of a few lines that would run or grow for very long, with the limits that users have.
struct HostileTemplateTests {
  private static func keywords(_ count: Int, _ value: Int) -> String {
    (0..<count).map { "k\($0)=\(value)" }.joined(separator: ", ")
  }

  static let sources: [String] = [
    "{% for a in range(99999) %}{% for b in range(99999) %}x{% endfor %}{% endfor %}",
    // A key of few nodes and very many values.
    "{% set n = namespace(t=(1, 2)) %}{% for a in range(60) %}{% set n.t = (n.t, n.t) %}{% endfor %}{{ {n.t: 1} }}",
    // A long text many times.
    "{% set t = 'x' * 1000000 %}{{ '\(String(repeating: "{0}", count: 2000))'.format(t) }}",
    "{% set t = 'x' * 1000000 %}{{ '\(String(repeating: "%s", count: 200))' % ((t,) * 200) }}",
    "{% set t = 'a' * 200000 %}{% for i in range(9999) %}{{ t.replace('a', 'bbbb') | length }}{{ t.count('a') }}{% endfor %}",
    "{% set t = '<' * 8000000 %}{% for i in range(100) %}{{ t | escape | length }}{{ t | urlencode | length }}{% endfor %}",
    "{{ 'x' * 16000000 }}{{ 'y' * 16000000 }}", "{{ [1] * 100000000 }}",
    "{{ strftime_now('%c' * 5000000) }}",
    // Many scopes to look through, many names to compare.
    String(repeating: "{% with %}", count: 45) + "{% for i in range(99999) %}{% for j in range(99) %}"
      + "{{ nothing is defined }}{% endfor %}{% endfor %}" + String(repeating: "{% endwith %}", count: 45),
    "{% set k = dict(\(keywords(400, 1))) %}{% for i in range(99999) %}{{ namespace(**k) is defined }}{% endfor %}",
    "{% macro m(\(keywords(300, 1))) %}{% endmacro %}{% for i in range(99999) %}{{ m(\(keywords(300, 2))) }}{% endfor %}",
  ]

  @Test(arguments: sources.indices)
  func end(_ index: Int) throws {
    let source = Self.sources[index]
    let template = try ChatTemplate(source: source)
    #expect(throws: ChatTemplateError.self, "\(source.prefix(80))") {
      try expectEnds(within: 5, "\(source.prefix(80))") { _ = try template.render([], addGenerationPrompt: false) }
    }
  }

  /// What a conversation of a megabyte needs stays well within the limits.
  @Test func longConversationsAreRendered() throws {
    let template = try ChatTemplate(
      source: """
        {% for m in messages %}{{ '<|im_start|>' + m['role'] + '\\n' + m['content'] | trim + '<|im_end|>' + '\\n' }}{% endfor %}
        """)
    let content = String(repeating: "words and words ", count: 1250)
    let messages = (0..<100).map { ChatMessage(role: $0 % 2 == 0 ? "user" : "assistant", content: content) }
    #expect(try template.render(messages, addGenerationPrompt: false).utf8.count > 1_900_000)
  }
}
