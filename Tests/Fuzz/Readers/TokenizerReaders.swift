import Foundation
import Primitives
import Tokenizers

extension FuzzReader {
  static let tokenizers = [tokenizer, tokenizerConfiguration, chatTemplate, json]

  /// Texts that every tokenizer is given.
  private static let texts = [
    "", " ", "ab ab  ab\n\n12 345", "<s>ab</s><|x|>", "naïve ▁▁ e\u{301}😀\u{0}\u{FFFF}",
    String(repeating: "a", count: 300), String(repeating: " a\n", count: 200),
    String(repeating: "\t \u{3000}", count: 100),
    String(repeating: "aab", count: 60) + "!",
  ]

  private static func use(_ tokenizer: Tokenizer) {
    for text in texts {
      let ids = tokenizer.encode(text, addSpecialTokens: true)
      _ = tokenizer.decode(ids)
      _ = tokenizer.decode(ids, skipSpecialTokens: true)
      var stream = StreamingDecoder(tokenizer)
      for id in ids.prefix(50) { _ = stream.append(id) }
      _ = stream.finish()
    }
    _ = tokenizer.decode([-1, .max, 0, tokenizer.vocabularySize])
    _ = tokenizer.token(tokenizer.vocabularySize - 1)
  }

  private static let tokenizer = FuzzReader(
    "tokenizer", "tokenizer.json, and text through it",
    dictionary: [
      "Sequence", "NFC", "NFKD", "Lowercase", "Strip", "StripAccents", "Prepend", "Replace", "ByteLevel", "Digits",
      "Punctuation", "Whitespace", "WhitespaceSplit", "Split", "Metaspace", "CharDelimiterSplit", "Regex", "String",
      "Isolated", "Removed", "MergedWithPrevious", "Contiguous", "byte_fallback", "ByteFallback", "Fuse", "BPE",
      "Unigram",
      "TemplateProcessing", "BertProcessing", "<0x41>", "▁", "(?:a+)+b", "\\p{L}+", "\\s+(?!\\S)", "(?i:a)", "{1000}",
    ]
  ) {
    Seeds(
      TokenizerSeeds.valid.map { FuzzInput(.json, $0) }, hostile: TokenizerSeeds.hostile.map { FuzzInput(.json, $0) })
  } open: { workspace in
    { input in
      try workspace.write(input.bytes, "model/tokenizer.json")
      use(try Tokenizer(directory: workspace.path("model")))
    }
  }

  private static let tokenizerConfiguration = FuzzReader(
    "tokenizer-config", "tokenizer_config.json, special_tokens_map.json and the chat template in them",
    dictionary: [
      "chat_template", "added_tokens_decoder", "additional_special_tokens", "extra_special_tokens", "bos_token",
      "content",
      "default", "template", "name", "lstrip", "single_word", "special", "16777216", "-1",
    ]
  ) {
    [
      FuzzInput([
        FuzzInput.part("configuration", .json, TokenizerSeeds.configuration), FuzzInput.part("map", .json, "{}"),
      ]),
      FuzzInput([
        FuzzInput.part(
          "configuration", .json,
          #"{"chat_template": [{"name": "tool", "template": "x"}, {"name": "default", "template": "{{ messages }}"}]}"#),
        FuzzInput.part("map", .json, TokenizerSeeds.configuration),
      ]),
    ]
  } open: { workspace in
    try workspace.write(TokenizerSeeds.byteLevel(), "model/tokenizer.json")
    return { input in
      try workspace.write(input["configuration"], "model/tokenizer_config.json")
      try workspace.write(input["map"], "model/special_tokens_map.json")
      let tokenizer = try Tokenizer(directory: workspace.path("model"))
      _ = tokenizer.decode(tokenizer.encode("<s> ab<|end|> ", addSpecialTokens: true))
      _ = try ChatTemplate.load(directory: workspace.path("model"))
      try render(tokenizer.chatTemplate)
    }
  }

  static let templateWords = [
    "{%", "%}", "{{", "}}", "{%-", "-%}", "{#", "#}", "for", "endfor", "if", "elif", "else", "endif", "set", "endset",
    "macro", "endmacro", "call", "endcall", "filter", "endfilter", "with", "endwith", "generation", "endgeneration",
    "in", "is", "not", "and", "or", "range(99999)", "namespace", "loop.index", "loop(", "recursive", "messages", "|",
    "tojson", "join", "sort", "groupby", "batch(3)", "slice(3)", "map('upper')", "selectattr('role')", "* 9999999",
    "** 63", "// 0", "% 0", "[::-1]", "[:-1]", "9223372036854775807", "-9223372036854775808", "'x'", "~", "break",
    "continue", "strftime_now('%Y')", "raise_exception('x')", "dict(a=1)", ".items()", ".split(',')", ".format(1)",
    "|indent(8)", "|truncate(3)", "|round(300)", "|int(base=36)", "'%d'|format(1)", "caller()", "varargs", "kwargs",
  ]

  private static let chatTemplate = FuzzReader(
    "chat-template", "a chat template, parsed and rendered",
    dictionary: templateWords
  ) {
    Seeds(
      TokenizerSeeds.templates.map { FuzzInput(.text, $0) }, hostile: Hostile.templates.map { FuzzInput(.text, $0) })
  } open: { _ in
    { try render(String(decoding: $0.bytes, as: UTF8.self)) }
  }

  private static func render(_ source: String?) throws {
    guard let source else { return }
    let template = try ChatTemplate(source: source)
    let messages: [TemplateValue] = [
      ["role": "system", "content": "Be brief."], ["role": "user", "content": "Hello\n<b>\u{301}"],
      ["role": "assistant", "content": ["type": "text", "text": [1, 2.5, nil, true]], "tool_calls": []],
    ]
    _ = try template.render(
      messages: messages, addGenerationPrompt: true,
      variables: ["bos_token": "<s>", "eos_token": "</s>", "tools": [["name": "f", "parameters": ["x": 1]]]],
      now: Date(timeIntervalSince1970: 0))
  }

  /// The parser below most other readers, with each of the rules in use.
  private static let json = FuzzReader(
    "json", "JSON, with the rules of each reader", dictionary: ["\\ud83d\\ude00", "1e5"]
  ) {
    Seeds(
      [
        FuzzInput(.json, #"{"a": [1, -2.5e3, true, null, "x\u00e9\n\ud83d\ude00"], "b": {"c": {}}, "a ": []}"#)
      ], hostile: ["[", #"{"a":"#].map { FuzzInput(.json, String(repeating: $0, count: 5000)) })
  } open: { _ in
    { input in
      let rules = [
        JSONParser.Rules(), JSONParser.Rules(allowsDuplicateKeys: true, keepsNumerals: true, maximumDepth: 127),
        JSONParser.Rules(keepsNumerals: true),
      ]
      for rules in rules {
        guard let value = input.bytes.withUnsafeBytes({ try? JSONParser.parse($0, rules: rules) }) else { continue }
        let encoded = value.encoded()
        let again = encoded.withUnsafeBytes { try? JSONParser.parse($0, rules: rules) }
        precondition(again == value, "written and read again it is another value")
        _ = value.summary
      }
    }
  }
}

/// Tokenizers of a few tokens.
enum TokenizerSeeds {
  static var valid: [String] { [byteLevel(), sentencePiece, metaspace] }

  static var hostile: [String] {
    let patterns = Hostile.patterns.map { pattern in
      byteLevel(
        preTokenizer: """
          {"type": "Sequence", "pretokenizers": [{"type": "Split", "pattern": {"Regex": \(JSONValue.quoted(pattern))},
          "behavior": "Isolated", "invert": false}, {"type": "ByteLevel", "add_prefix_space": false, "use_regex": false}]}
          """)
    }
    return patterns + [
      byteLevel(normalizer: Hostile.doubling(30)),
      byteLevel(
        preTokenizer:
          #"{"type": "Sequence", "pretokenizers": [\#([String](repeating: #"{"type": "ByteLevel"}"#, count: 40).joined(separator: ","))]}"#
      ),
      byteLevel(postProcessor: doublingProcessor(40)), farVocabulary,
    ]
  }

  /// GPT-2's, with bytes for tokens and three merges.
  static func byteLevel(
    normalizer: String = "null",
    preTokenizer: String = #"{"type": "ByteLevel", "add_prefix_space": true, "use_regex": true}"#,
    postProcessor: String = #"{"type": "ByteLevel", "trim_offsets": true}"#
  ) -> String {
    var scalars: [UInt32] = []
    var next: UInt32 = 256
    for byte in UInt32(0)..<256 {
      let isPlain = (0x21...0x7E).contains(byte) || (0xA1...0xAC).contains(byte) || (0xAE...0xFF).contains(byte)
      scalars.append(isPlain ? byte : next)
      next += isPlain ? 0 : 1
    }
    let tokens =
      ["<s>", "</s>"] + scalars.compactMap { Unicode.Scalar($0).map { String(Character($0)) } } + ["ab", "Ġab", "12"]
    let vocabulary = tokens.enumerated().map { "\(JSONValue.quoted($1)): \($0)" }.joined(separator: ", ")
    return """
      {"version": "1.0", "added_tokens": [
      {"id": 0, "content": "<s>", "special": true, "single_word": false, "lstrip": false, "rstrip": false, "normalized": false},
      {"id": 1, "content": "</s>", "special": true, "lstrip": true, "rstrip": true, "normalized": false}],
      "normalizer": \(normalizer), "pre_tokenizer": \(preTokenizer), "post_processor": \(postProcessor),
      "decoder": {"type": "ByteLevel"}, "model": {"type": "BPE", "dropout": null, "unk_token": null, "fuse_unk": false,
      "byte_fallback": false, "ignore_merges": false, "vocab": {\(vocabulary)}, "merges": ["a b", ["Ġ", "ab"], "1 2"]}}
      """
  }

  static let sentencePiece = """
    {"version": "1.0", "added_tokens": [{"id": 0, "content": "<unk>", "special": true}, {"id": 1, "content": "<s>",
    "special": true}, {"id": 9, "content": "<|x|>", "special": false, "single_word": true, "normalized": true}],
    "normalizer": {"type": "Sequence", "normalizers": [{"type": "Prepend", "prepend": "▁"}, {"type": "Replace",
    "pattern": {"String": " "}, "content": "▁"}]}, "pre_tokenizer": null, "post_processor": {"type": "TemplateProcessing",
    "single": [{"SpecialToken": {"id": "<s>", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}],
    "special_tokens": {"<s>": {"id": "<s>", "ids": [1], "tokens": ["<s>"]}}},
    "decoder": {"type": "Sequence", "decoders": [{"type": "Replace", "pattern": {"String": "▁"}, "content": " "},
    {"type": "ByteFallback"}, {"type": "Fuse"}, {"type": "Strip", "content": " ", "start": 1, "stop": 0}]},
    "model": {"type": "BPE", "unk_token": "<unk>", "fuse_unk": true, "byte_fallback": true, "vocab": {"<unk>": 0, "<s>": 1,
    "<0x0A>": 2, "▁": 3, "a": 4, "b": 5, "ab": 6, "▁ab": 7, "1": 8}, "merges": ["a b", "▁ ab"]}}
    """

  static let metaspace = """
    {"added_tokens": [], "normalizer": {"type": "Sequence", "normalizers": [{"type": "NFKC"}, {"type": "Lowercase"},
    {"type": "StripAccents"}, {"type": "Strip", "strip_left": true, "strip_right": true}]}, "pre_tokenizer":
    {"type": "Sequence", "pretokenizers": [{"type": "Metaspace", "replacement": "▁", "prepend_scheme": "first", "split": true},
    {"type": "Digits", "individual_digits": true}, {"type": "Punctuation"}, {"type": "Split", "pattern": {"Regex":
    "[^\\\\r\\\\n\\\\p{L}]?\\\\p{L}+|\\\\s+(?!\\\\S)|\\\\s+"}, "behavior": "MergedWithPrevious", "invert": true}]},
    "decoder": {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "first"},
    "model": {"type": "BPE", "vocab": {"▁": 0, "a": 1, "b": 2, "▁a": 3}, "merges": [["▁", "a"]]}}
    """

  static let configuration = """
    {"bos_token": "<s>", "eos_token": {"content": "</s>", "lstrip": false}, "pad_token": null, "unk_token": "<unk>",
    "additional_special_tokens": ["<|a|>", {"content": "<|b|>"}], "added_tokens_decoder": {"0": {"content": "<s>",
    "special": true}, "261": {"content": "<|end|>", "special": true}}, "chat_template":
    "{% for m in messages %}<|{{ m.role }}|>{{ m['content'] | trim }}{{ eos_token }}{% endfor %}"}
    """

  static let templates = [
    "{% for m in messages %}{{ '<|im_start|>' + m['role'] + '\\n' + m['content'] | string + '<|im_end|>' }}{% endfor %}",
    "{%- if messages[0].role == 'system' -%}{{ messages[0].content | trim }}{%- set m = messages[1:] -%}{%- endif -%}",
    "{% macro f(x, y=2) %}{{ x ~ y }}{% if caller %}{{ caller(1) }}{% endif %}{% endmacro %}{{ f(1) }}{% call(z) f(3) %}{{ z }}{% endcall %}",
    "{% for k, v in {'a': 1, 'b': [1, 2]}.items() recursive %}{{ loop.index }}{{ k }}{{ v | tojson }}{% else %}e{% endfor %}",
    "{% set ns = namespace(n=0) %}{% for i in range(5) if i % 2 %}{% set ns.n = ns.n + i ** 2 // 3 %}{% endfor %}{{ ns.n }}",
    "{{ messages | map(attribute='role') | unique | sort | join(', ') }}{{ 'a,b'.split(',')[-1].upper().center(9) }}",
    "{{ '%-5s|%05.1f' | format('a', 2.5) }}{{ '{} {x}'.format(1, x=2) }}{{ 'abc'[::-1] | replace('a', 'b', 1) | indent(2) }}",
    "{% generation %}{{ tools | tojson(indent=2) }}{% endgeneration %}{{ strftime_now('%d %b %Y') }}{{ 1.5e3 | round(1) | int }}",
    "{% filter upper %}{% with a = 1, b = (2, 3) %}{{ a in b or not b is defined }}{% endwith %}{% endfilter %}{# note #}",
    "{{ messages | groupby('role') | list | length }}{{ [3, 1, 2] | sort(reverse=true) | batch(2, 'x') | list }}{{ [1] | sum }}",
  ]

  /// Each of the processors writes the text twice.
  static func doublingProcessor(_ steps: Int) -> String {
    let twice = #"{"type": "TemplateProcessing", "single": [{"Sequence": {"id": "A"}}, {"Sequence": {"id": "A"}}]}"#
    return
      #"{"type": "Sequence", "processors": [\#([String](repeating: twice, count: steps).joined(separator: ", "))]}"#
  }

  static let farVocabulary = """
    {"pre_tokenizer": null, "decoder": null, "model": {"type": "BPE", "vocab": {"a": 0, "b": 16777216}, "merges": []}}
    """
}
