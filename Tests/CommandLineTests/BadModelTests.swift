import Checkpoints
import Foundation
import TestSupport
import Testing

/// Models that cannot be used: one line that names the file, the key or the tensor.
struct BadModelTests {
  /// A way to spoil the directory `model`, and what the refusal must mention.
  struct Defect: CustomTestStringConvertible, Sendable {
    let testDescription: String
    let mentions: [String]
    let spoil: @Sendable (TemporaryDirectory) throws -> Void

    init(_ name: String, _ mentions: [String], spoil: @escaping @Sendable (TemporaryDirectory) throws -> Void) {
      testDescription = name
      self.mentions = mentions
      self.spoil = spoil
    }
  }

  static let defects = [
    Defect("missing directory", ["model/config.json", "no such file"]) { try $0.remove("model") },
    Defect("a file in place of the directory", ["model"]) {
      try $0.remove("model")
      try $0.write("x", to: "model")
    },
    Defect("missing checkpoint", ["model: no model.safetensors"]) { try $0.remove("model/model.safetensors") },
    Defect("truncated checkpoint", ["model/model.safetensors", "incomplete", "copy or download it again"]) {
      try $0.truncate("model/model.safetensors", to: 50_000)
    },
    Defect("checkpoint cut within its header", ["model/model.safetensors", "download it again"]) {
      try $0.truncate("model/model.safetensors", to: 100)
    },
    Defect("empty checkpoint", ["model/model.safetensors", "0 bytes"]) {
      try $0.truncate("model/model.safetensors", to: 0)
    },
    Defect("a checkpoint that is none", ["model/model.safetensors", "not a safetensors file"]) {
      try $0.write(String(repeating: "not weights ", count: 99), to: "model/model.safetensors")
    },
    Defect(
      "shapes of another width",
      ["model: weights", "config.json", "model.embed_tokens.weight is [263, 32], expected [263, 48]"]
    ) {
      try $0.replace(#""hidden_size": 32"#, by: #""hidden_size": 48"#, in: "model/config.json")
    },
    Defect("a layer that is missing", ["model: weights", "config.json", "missing: model.layers.2."]) {
      try $0.replace(#""num_hidden_layers": 2"#, by: #""num_hidden_layers": 3"#, in: "model/config.json")
    },
    Defect("unknown architecture", ["model/config.json", "GPTNeoXForCausalLM", "LlamaForCausalLM"]) {
      try $0.replace("LlamaForCausalLM", by: "GPTNeoXForCausalLM", in: "model/config.json")
      try $0.replace(#""model_type": "llama""#, by: #""model_type": "gpt_neox""#, in: "model/config.json")
    },
    Defect("malformed config.json", ["model/config.json", "malformed JSON"]) {
      try $0.truncate("model/config.json", to: 60)
    },
    Defect("a value of the wrong type", ["model/config.json", "intermediate_size", "wide"]) {
      try $0.replace(#""intermediate_size": 64"#, by: #""intermediate_size": "wide""#, in: "model/config.json")
    },
    Defect("a value out of range", ["model/config.json", "num_attention_heads"]) {
      try $0.replace(#""num_attention_heads": 4"#, by: #""num_attention_heads": -4"#, in: "model/config.json")
    },
    Defect("missing tokenizer", ["model/tokenizer.json", "no such file"]) { try $0.remove("model/tokenizer.json") },
    Defect("malformed tokenizer", ["model/tokenizer.json", "malformed JSON at line 1"]) {
      try $0.truncate("model/tokenizer.json", to: 500)
    },
    Defect("malformed tokenizer_config.json", ["model/tokenizer_config.json", "malformed JSON"]) {
      try $0.write("{", to: "model/tokenizer_config.json")
    },
    Defect("a tokenizer with more tokens than the model", ["model", "263", "200"]) {
      try TinyModel(vocabularySize: 200, hasEndOfSequence: false).write(to: $0.file("model"))
      try TinyModel.writeTokenizer(to: $0.file("model"))
    },
    Defect("token ids outside the model's vocabulary", ["model", "5001", "263"]) {
      try $0.write(
        $0.text("model/tokenizer.json").replacingOccurrences(of: "262", with: "5000"), to: "model/tokenizer.json")
    },
  ]

  @Test("train refuses", arguments: defects)
  func refuses(defect: Defect) throws {
    let workspace = try Workspace()
    try defect.spoil(workspace.directory)
    try expectRefusal(workspace.trainingArguments("run"), in: workspace.directory, mentions: defect.mentions)
  }

  @Test(
    "so does every other verb that reads a model",
    arguments: [
      ["score", "--model", "model", "--data", "rows.jsonl"], ["generate", "--model", "model", "--prompt", "a"],
      ["calibrate", "--model", "model", "--data", "rows.jsonl", "--out", "run"],
      ["mask", "random", "--model", "model", "--out", "a.mask"],
      ["mask", "extract", "--base", "whole", "--tuned", "model", "--out", "a.mask"],
      ["mask", "extract", "--base", "model", "--tuned", "whole", "--out", "a.mask"],
    ])
  func everyVerb(arguments: [String]) throws {
    let workspace = try Workspace()
    try workspace.directory.copy("model", to: "whole")
    try workspace.directory.truncate("model/model.safetensors", to: 50_000)
    try expectRefusal(arguments, in: workspace.directory, mentions: ["model/model.safetensors", "incomplete"])
  }

  @Test("weights that are not finite stop training with the rows named")
  func notFinite() throws {
    let workspace = try Workspace(
      TinyModel(edit: { name, values in
        if name == "model.layers.1.mlp.up_proj.weight" { values[3] = .nan }
      }))
    try expectRefusal(
      workspace.trainingArguments("run"), in: workspace.directory,
      mentions: ["calibration, step 1", "not finite", "rows"],
      leavesFiles: true)
    try expectRefusal(
      ["generate", "--model", "model", "--prompt", "a"], in: workspace.directory, mentions: ["NaN"], leavesFiles: true)
  }

  @Test("import refuses what is no GGUF file", arguments: ["", "GGUF", "something else entirely, and long enough"])
  func importing(content: String) throws {
    let directory = try TemporaryDirectory()
    try directory.write(content, to: "model.gguf")
    try expectRefusal(["import", "model.gguf", "--out", "out"], in: directory, mentions: ["model.gguf"])
    try expectRefusal(
      ["import", "absent.gguf", "--out", "out"], in: directory, mentions: ["absent.gguf", "no such file"])
  }

  @Test("a model without chat template cannot chat")
  func chat() throws {
    let workspace = try Workspace()
    try expectRefusal(
      ["generate", "--model", "model", "--prompt", "a", "--chat"], in: workspace.directory,
      mentions: ["model", "no chat template", "leave out --chat"])
  }

  @Test(
    "sampling settings out of range",
    arguments: [
      ["--temperature", "-1"], ["--top-k", "0"], ["--top-p", "1.5"], ["--max-tokens", "-2"],
    ])
  func sampling(options: [String]) throws {
    let workspace = try Workspace()
    try expectRefusal(
      ["generate", "--model", "model", "--prompt", "a", options[0] + "=" + options[1]], in: workspace.directory,
      mentions: [String(options[0].dropFirst(2).prefix(3)), options[1]])
  }

  @Test("devices that are not there")
  func device() throws {
    let workspace = try Workspace()
    try expectRefusal(
      ["score", "--model", "model", "--data", "rows.jsonl", "--device", "cuda:77"], in: workspace.directory,
      mentions: ["cuda"])
  }
}
