import Adaptation
import Checkpoints
import Decoder
import Foundation
import TestSupport
import Testing
import Tokenizers

/// Conversations with the tiny model, whose tokenizer has a token for each ASCII character.
@Suite(.engine) struct ChatSessionTests {
  private let directory: TemporaryDirectory
  private let model: String

  init() throws {
    directory = try TemporaryDirectory()
    model = directory("model")
    try FileManager.default.copyItem(atPath: try TrainingGoldens().model, toPath: model)
    try FileSystem.writeAtomically(
      """
      {%- for m in messages %}{{ '<' + m.role[0] + '>' + m.content + ('~' if m.role == 'assistant' else '') }}{% endfor %}
      {%- if add_generation_prompt %}{{ '<a>' }}{% endif %}
      """, to: FileSystem.join(model, "chat_template.jinja"))
  }

  private func session(
    adapters: [String] = [], maximumTokens: Int = 20, temperature: Double = 0
  ) throws -> (ChatSession, LoadedModel) {
    let loaded = try LoadedModel(directory: model)
    let store = try AdapterStore(loaded)
    for (number, name) in adapters.enumerated() {
      try writeAdapter(directory(name), base: model, offset: number, stride: 10)
      try store.add(directory(name), named: name)
    }
    let sampling = try SamplingOptions(temperature: temperature, seed: 4, maximumTokens: maximumTokens)
    return (try ChatSession(loaded, adapters: store, sampling: sampling), loaded)
  }

  /// The answer that the whole conversation gets from a model that has seen nothing before.
  private func fresh(
    _ messages: [RowMessage], adapters: [String] = [], sampling: SamplingOptions
  ) throws -> [Int] {
    let loaded = try LoadedModel(directory: model, adapters: adapters.map { directory($0) })
    let text = try #require(loaded.chatRenderer).render(messages, addGenerationPrompt: true)
    var options = sampling
    options.stopTokens = loaded.stopTokens
    return try Generator(loaded.model).generate([loaded.tokenizer.encode(text)], options: options)[0]
  }

  private func promptLength(of messages: [RowMessage], _ loaded: LoadedModel) throws -> Int {
    loaded.tokenizer.encode(try #require(loaded.chatRenderer).render(messages, addGenerationPrompt: true)).count
  }

  @Test(arguments: [0.0, 0.8]) func threeTurnsAreThoseOfAFreshStart(_ temperature: Double) throws {
    let (session, loaded) = try session(temperature: temperature)
    session.system = "be brief"
    var messages = [RowMessage(role: "system", content: "be brief")]
    var held = 0
    for (turn, text) in ["hello there", "and now?", "a third question, longer than the others"].enumerated() {
      messages.append(RowMessage(role: "user", content: text))
      var sampling = session.sampling
      sampling.seed += UInt64(turn)
      let expected = try fresh(messages, sampling: sampling)
      var heard = ""
      let answer = try session.send(text) { event in
        if case .text(let piece) = event { heard += piece }
        return .proceed
      }
      #expect(answer.tokens == expected && !expected.isEmpty)
      #expect(answer.text == heard && heard == loaded.tokenizer.decode(expected, skipSpecialTokens: true))
      #expect(try answer.promptCount == promptLength(of: messages, loaded))
      // Of the next prompt only the new message is read, and the answer's last token where nothing came after it.
      #expect(answer.reusedCount == held)
      held = answer.promptCount + answer.tokens.count - (answer.ending == .maximumTokens ? 1 : 0)
      messages.append(RowMessage(role: "assistant", content: answer.text))
      #expect(session.messages == Array(messages.dropFirst()))
    }
  }

  /// Keys and values of other weights are never used; the conversation goes on.
  @Test func switchingAdapters() throws {
    let (session, _) = try session(adapters: ["sql", "math"])
    var messages: [RowMessage] = []
    var texts: Set<String> = []
    for (active, isReused) in [
      ([], false), (["sql"], false), (["sql"], true), (["sql", "math"], false), (["math"], false), ([], false),
      ([], true),
    ] as [([String], Bool)] {
      try session.adapters.activate(active)
      messages.append(RowMessage(role: "user", content: "same question"))
      var sampling = session.sampling
      sampling.seed += UInt64(messages.count / 2)
      let answer = try session.send("same question")
      #expect(try answer.tokens == fresh(messages, adapters: active, sampling: sampling), "\(active)")
      #expect((answer.reusedCount > 0) == isReused)
      messages.append(RowMessage(role: "assistant", content: answer.text))
      texts.insert(answer.text)
    }
    #expect(texts.count > 2)
  }

  @Test func stoppedAnswersStayInTheConversation() throws {
    let (session, _) = try session()
    let whole = try session.send("hello")
    session.clear()
    #expect(session.messages.isEmpty)
    var pieces = 0
    let stopped = try session.send("hello") { event in
      if case .text = event { pieces += 1 }
      return pieces < 4 ? .proceed : .stop
    }
    #expect(stopped.ending == .interrupted && stopped.tokens == Array(whole.tokens.prefix(4)))
    #expect(session.messages.last == RowMessage(role: "assistant", content: stopped.text))
    let next = try session.send("go on")
    #expect(try next.tokens == fresh(Array(session.messages.dropLast()), sampling: session.sampling))
  }

  @Test func clearingAndTheSystemMessage() throws {
    let (session, _) = try session()
    let first = try session.send("hello")
    #expect(try session.send("hello").promptCount > first.promptCount)
    session.clear()
    #expect(try session.send("hello") == first)
    session.clear()
    session.system = "another voice"
    let other = try session.send("hello")
    #expect(other.promptCount == first.promptCount + 16)
    session.system = nil
    session.clear()
    #expect(try session.send("hello") == first)
  }

  /// 512 positions: the answer ends there, the next message is refused, and a cleared session goes on.
  @Test func fullContext() throws {
    let (session, _) = try session(maximumTokens: 1000)
    let long = String(repeating: "word ", count: 101)
    let error = #expect(throws: ChatError.self) { try session.send(long + "and more") }
    #expect(error == .contextFull(tokens: 505 + 8 + 6, limit: 512))
    #expect(error?.description.contains("clear it") == true)
    #expect(session.messages.isEmpty)
    let answer = try session.send(String(long.dropLast(5)))
    #expect(answer.ending == .contextFull || answer.ending == .stopToken)
    let held = session.messages
    #expect(throws: ChatError.self) { try session.send("next") }
    #expect(session.messages == held)
    session.clear()
    session.sampling = try SamplingOptions(maximumTokens: 5)
    #expect(try session.send("next").tokens.count <= 5)
  }

  @Test func refusedByTheTemplate() throws {
    try FileSystem.writeAtomically(
      "{% if messages[-1].content == 'no' %}{{ raise_exception('not that') }}{% endif %}{{ messages[-1].content }}",
      to: FileSystem.join(model, "chat_template.jinja"))
    let (session, _) = try session()
    _ = try session.send("yes")
    #expect(throws: (any Error).self) { try session.send("no") }
    #expect(session.messages.count == 2)
    _ = try session.send("yes")
  }

  @Test func noTemplate() throws {
    let loaded = try LoadedModel(directory: try TrainingGoldens().model)
    let error = #expect(throws: ChatError.noTemplate(directory: loaded.directory)) {
      try ChatSession(loaded, adapters: try AdapterStore(loaded), sampling: SamplingOptions())
    }
    #expect(error?.description.contains("add chat_template.jinja") == true)
  }
}
