import Adaptation
import Foundation
import Tokenizers

extension FuzzReader {
  static let rows = [trainingRows, conversations, metrics]

  private static let trainingRows = FuzzReader(
    "rows", "training rows of every format, through tokenizer and chat template",
    dictionary: [
      "prompt", "completion", "messages", "role", "content", "assistant", "user", "instruction", "input", "output",
      "text",
      "[", "]", "},{", "\r\n", "\u{FEFF}", "<s>", "</s>",
    ]
  ) {
    func inputs(_ texts: [String]) -> [FuzzInput] { texts.map { FuzzInput(.jsonLines, $0) } }
    let nested = String(repeating: "[", count: 400) + String(repeating: "1,", count: 20_000)
    return Seeds(
      inputs([
        #"{"prompt": "2 + 2 =", "completion": " 4"}"# + "\n" + #"{"prompt": "", "completion": "ab"}"# + "\n",
        #"{"messages": [{"role": "user", "content": "ab"}, {"role": "assistant", "content": " 12 "}]}"# + "\n",
        #"{"instruction": "Add", "input": null, "output": "ab"}"# + "\r\n\r\n"
          + #"{"instruction": "Add", "input": "1", "output": "2"}"#,
        #"{"text": "naïve <s> 😀 ab"}"# + "\n" + #"{"text": "b"}"#,
        #"[{"text": "a"}, {"text": "b, [c] \"d\""}]"#,
      ]),
      hostile: inputs([
        #"{"messages": ["# + String(repeating: #"{"role": "assistant", "content": " 12 "},"#, count: 2000)
          + #"{"role": "assistant", "content": "a"}]}"#,
        #"{"text": [["# + nested, #"{"text": "a", "x": "# + nested + "1" + String(repeating: "]", count: 400) + "}",
      ]))
  } open: { workspace in
    try workspace.write(TokenizerSeeds.byteLevel(), "model/tokenizer.json")
    try workspace.write(TokenizerSeeds.configuration, "model/tokenizer_config.json")
    let tokenizer = try Tokenizer(directory: workspace.path("model"))
    let source =
      "{% for m in messages %}<|{{ m.role }}|>{{ m.content }}</s>{% endfor %}{% if add_generation_prompt %}<|assistant|>{% endif %}"
    let chat = ChatRenderer(try ChatTemplate(source: source), tokenizer: tokenizer)
    return { input in
      let path = try workspace.write(input.bytes, "rows.jsonl")
      let policy = OverlengthPolicy.allCases[input.byteCount % 3]
      let data = try TrainingData.load(
        path: path, encoder: tokenizer, chat: chat, maximumLength: 256, overlength: policy)
      precondition(data.rows.allSatisfy { $0.tokens.count <= 256 }, "a row is longer than allowed")
      _ = try TrainingData.readRows(path: path)
    }
  }

  /// What a template may do to the places where turns begin and end: they are found by rendering parts of a conversation.
  private static let conversations = FuzzReader(
    "conversations", "conversations of three shapes, by a chat template that is mutated",
    dictionary: templateWords + [
      "add_generation_prompt", "loop.last", "loop.first", "messages | length", "<s>", "</s>",
    ]
  ) {
    let turn = "{{ m.role }}: {{ m.content }}"
    return Seeds(
      [
        "{% for m in messages %}<s>\(turn)</s>\n{% endfor %}{% if add_generation_prompt %}<s>assistant: {% endif %}",
        "{% for m in messages %}{{ m.content }}{% if not loop.last or not add_generation_prompt %}|{% endif %}{% endfor %}",
        "{% for m in messages %}{% if not loop.first %} {% endif %}\(turn){% endfor %}{{ '' if add_generation_prompt else '</s>' }}",
        "{{ 'a' * (9 - messages | length) }}{% for m in messages %}{{ m.content | trim }}{% endfor %}",
        "{% for m in messages[::-1] %}\(turn)</s>{% endfor %}",
      ].map { FuzzInput(.text, $0) })
  } open: { workspace in
    try workspace.write(TokenizerSeeds.byteLevel(), "model/tokenizer.json")
    try workspace.write(TokenizerSeeds.configuration, "model/tokenizer_config.json")
    let tokenizer = try Tokenizer(directory: workspace.path("model"))
    let turns = ["ab", " 12 ", "", "é</s>\n", "a\n\n"].map { RowMessage(role: "assistant", content: $0) }
    let asked = turns.flatMap { [RowMessage(role: "user", content: "2 + 2 ="), $0] }
    let location = RowLocation(path: "rows.jsonl", row: 1, line: 1)
    return { input in
      var template = try ChatTemplate(source: String(decoding: input.bytes, as: UTF8.self))
      template.limits.steps = 20_000
      let rows = RowTokenizer(encoder: tokenizer, chat: ChatRenderer(template, tokenizer: tokenizer))
      var failure: (any Error)?
      for messages in [turns, asked, [RowMessage(role: "system", content: "s")] + asked] {
        do { _ = try rows.tokenize(.conversation(messages), at: location) } catch { failure = error }
      }
      if let failure { throw failure }
    }
  }

  private static let metrics = FuzzReader(
    "metrics", "metrics.jsonl of a run",
    dictionary: [
      "phase", "step", "loss", "token_loss", "calibration", "iteration", "adaptation", "null", "learning_rate", "NaN",
    ]
  ) {
    let line = """
      {"phase": "adaptation", "step": 1, "loss": 2.5, "token_loss": 1.25, "tokens": 10, "labels": 4, "seconds": 0.5,\
       "learning_rate": 1e-5, "tokens_per_second": 20.0, "iteration": 1, "ticket_overlap": 0.5}
      """
    return [FuzzInput(.jsonLines, "\(line)\n\(line)\n"), FuzzInput(.jsonLines, "\(line)\n{\"phase\": \"cal")]
  } open: { workspace in
    { input in
      let records = try MetricsRecord.read(path: try workspace.write(input.bytes, "metrics.jsonl"))
      _ = records.map(\.jsonLine)
      _ = RunReport.Curve(name: "loss", records: records)
    }
  }
}
