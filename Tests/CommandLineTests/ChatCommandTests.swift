import Foundation
import Testing

/// `chat` with its lines from a file, as a script would drive it.
struct ChatCommandTests {
  private static let template = """
    {%- for m in messages %}{{ m.role + ': ' + m.content + '\\n' }}{% endfor %}
    {%- if add_generation_prompt %}{{ 'assistant: ' }}{% endif %}
    """

  private func workspace(template: String? = Self.template) throws -> Workspace {
    let workspace = try Workspace()
    if let template { try workspace.directory.write(template, to: "model/chat_template.jinja") }
    return workspace
  }

  private func chat(_ workspace: Workspace, _ lines: [String], _ arguments: [String] = []) throws -> LotaResult {
    let result = try Lota.run(
      ["chat", "--model", "model", "--max-tokens", "8"] + arguments, in: workspace.directory,
      input: lines.map { $0 + "\n" }.joined())
    try #require(result.code == 0 && !result.wasSignalled, "ended with \(result.code): \(result.errors)")
    return result
  }

  private func generated(_ workspace: Workspace, _ prompt: String, _ more: [String] = []) throws -> String {
    try Lota.run(
      ["generate", "--model", "model", "--chat", "--prompt", prompt, "--max-tokens", "8"] + more,
      in: workspace.directory
    ).output
  }

  @Test("the first answer is generate's, for the base and for each adapter")
  func answers() throws {
    let workspace = try workspace()
    let far = ["--learning-rate", "3e-2", "--steps", "12"]
    try workspace.train("sql", far)
    try workspace.train("math", far + ["--seed", "8", "--sparsity", "0.5"])
    let base = try generated(workspace, "hello")
    let sql = try generated(workspace, "hello", ["--adapter", "sql/adapter"])
    let math = try generated(workspace, "hello", ["--adapter", "math/adapter"])
    #expect(Set([base, sql, math]).count == 3)
    let result = try chat(
      workspace,
      ["hello", "/clear", "/base", "hello", "/clear", "/adapter m", "hello", "/adapters", "/quit", "not reached"],
      ["--adapter", "sql/adapter", "--adapter", "m=math/adapter"])
    #expect(result.output == sql + base + math)
    #expect(result.errors.contains("* m\n  sql\n"))
    let system = try generated(workspace, "hello", ["--system", "be brief"])
    #expect(try chat(workspace, ["hello"], ["--system", "be brief"]).output == system)
    #expect(try chat(workspace, ["/system be brief", "hello"]).output == system)
    #expect(try chat(workspace, ["/system be brief", "/system", "", "  hello  "]).output == base)
    #expect(try chat(workspace, ["/load sql/adapter", "/adapter sql", "hello"]).output == sql)
  }

  @Test("mistakes give one line each, and the chat goes on")
  func mistakes() throws {
    let workspace = try workspace()
    try workspace.train("sql")
    let base = try generated(workspace, "hello")
    let result = try chat(
      workspace,
      [
        "/dance", "/adapter", "/adapter nobody", "/load", "/load x=nowhere", "/load sql/adapter",
        "/load again=sql/adapter",
        "/load sql/adapter", "/adapter sql again", String(repeating: "long ", count: 100), "hello",
      ])
    #expect(result.output == base)
    let lines = result.errors.split(separator: "\n").map(String.init)
    let mentions = [
      "/dance", "/adapter needs a name", "'nobody'", "/load needs NAME=DIR", "nowhere", "loaded sql", "loaded again",
      "'sql' is loaded already", "only disjoint tickets", "the context is full", "cut off after 8 tokens",
    ]
    #expect(lines.count == mentions.count, "\(result.errors)")
    for (line, mention) in zip(lines, mentions) {
      #expect(line.contains(mention))
      #expect(line.hasPrefix("Error: ") != (mention.hasPrefix("loaded") || mention.hasPrefix("cut off")), "\(line)")
    }
  }

  @Test("a model without a template, and adapters that cannot be used, end it at once")
  func refusals() throws {
    let plain = try workspace(template: nil)
    try expectRefusal(
      ["chat", "--model", "model"], in: plain.directory, mentions: ["no chat template", "chat_template.jinja"])
    let workspace = try workspace()
    try expectRefusal(
      ["chat", "--model", "model", "--adapter", "a=nowhere"], in: workspace.directory, mentions: ["nowhere"])
    try expectRefusal(
      ["chat", "--model", "model", "--top-p", "7"], in: workspace.directory, mentions: ["top-p"])
    try expectRefusal(["chat", "--model", "none"], in: workspace.directory, mentions: ["none"])
  }

  @Test("seeded draws repeat, and differ from turn to turn")
  func seeds() throws {
    let workspace = try workspace()
    func draw(_ seed: String) throws -> [String] {
      try chat(
        workspace, ["hello", "/clear", "hello", "hello"], ["--temperature", "2", "--seed", seed]
      ).output.split(separator: "\n").map(String.init)
    }
    let first = try draw("1")
    #expect(try draw("1") == first)
    #expect(try draw("2") != first)
  }
}
