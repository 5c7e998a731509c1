import Evaluation
import Experiments
import Foundation
import Merging

extension FuzzReader {
  static let plans = [plan, mergeRecipe, taskRecipe]

  private static func texts(_ valid: [String], hostile: [String]) -> Seeds {
    Seeds(valid.map { FuzzInput(.text, $0) }, hostile: hostile.map { FuzzInput(.text, $0) })
  }

  private static let yamlWords = [
    "&a", "*a", "<<: *a", "? ", "- ", "- - - - ", "[", "]", "{", "}", "|", ">", "!!binary", "!!float", "%YAML 1.1",
    "---", "...",
    "\t", ": ", "#", "'", "\"", "~", "null", "yes", ".inf", ".nan", "0x10", "1_000", "1e400", "\"\\ud800\"",
    "\"\\x00\"", "@", "`",
  ]

  private static let plan = FuzzReader(
    "plan", "experiment plan, and the graph of its stages",
    dictionary: yamlWords + [
      "model", "seeds", "tasks", "train", "test", "dev", "eval", "recipe", "stages", "from", "merge", "vary", "choose",
      "curve",
      "table", "first", "second", "@first/mask", "method", "ties", "weight-first", "replay", "rows.jsonl", "exclude",
    ]
  ) {
    let small = """
      name: two tasks
      model: model
      seeds: [1, 2]
      tasks:
        a: {train: rows.jsonl, dev: rows.jsonl, test: rows.jsonl, eval: {recipe: gsm8k, data: rows.jsonl, limit: 3}}
        b: {train: rows.jsonl, test: rows.jsonl}
      train: {method: lota, sparsity: 0.9, learning-rate: {choose: [1e-4, 1e-5]}}
      curve: 5
      stages:
        first: {train: a}
        second: {from: first, train: a, sparsity: {vary: [0.9, 0.99]}, exclude: "@first/mask", no-shuffle: true}
        both: {merge: [first, second], method: {vary: [ties, linear]}, weight-first: 0.5}
      table:
        - {title: A then B, first: first, second: second}

      """
    let seeds = "seeds: [\((0..<4000).map(String.init).joined(separator: ", "))]"
    return texts(
      [small],
      hostile: [
        Hostile.variedPlan, Hostile.mergedPlan, Hostile.laughs(), Hostile.laughingKeys(), Hostile.flowNesting(900),
        Hostile.blockNesting(900), Hostile.flowNesting(50_000), Hostile.blockNesting(50_000),
        small.replacing("seeds: [1, 2]", with: seeds),
      ])
  } open: { workspace in
    try workspace.write("{}", "model/config.json")
    try workspace.write(#"{"text": "a"}"#, "rows.jsonl")
    return { input in
      let path = try workspace.write(input.bytes, "plan.yaml")
      let plan = try ExperimentPlan(path: path)
      let graph = StageGraph(plan)
      precondition(!graph.instances.isEmpty || plan.stages.contains { !$0.merged.isEmpty }, "a plan without a run")
      for index in graph.instances.indices.prefix(20) { _ = graph.chain(to: index).count }
      try plan.checkOptions(path: path) { _ in }
    }
  }

  private static let mergeRecipe = FuzzReader(
    "merge-recipe", "merge recipe",
    dictionary: yamlWords + [
      "merge_method", "base_model", "models", "model", "parameters", "weight", "density", "filter", "value", "slices",
      "sources",
      "layer_range", "dtype", "bfloat16", "tokenizer_source", "random_seed", "ties", "slerp", "dare_linear",
      "int8_mask",
    ]
  ) {
    let small = """
      merge_method: ties
      base_model: base
      models:
        - model: one
          parameters: {weight: 0.5, density: [0.1, 0.5]}
        - model: base+two
          parameters:
            weight:
              - filter: self_attn
                value: [0.1, 1]
              - value: 0.2
      parameters: {normalize: true, rescale: norm}
      dtype: bfloat16
      random_seed: 7

      """
    let laughs = "merge_method: ties\nbase_model: base\nmodels: [{model: one}]\nparameters:\n" + Hostile.conditionLaughs
    let nested =
      "merge_method: linear\nmodels: [{model: a}]\nparameters:\n  weight: " + Hostile.flowNesting(900).dropFirst(7)
    return texts([small], hostile: [laughs, nested, Hostile.laughs(), Hostile.laughingKeys()])
  } open: { workspace in
    { input in
      let recipe = try MergeRecipe(path: try workspace.write(input.bytes, "merge.yaml"))
      let again = try MergeRecipe(yaml: recipe.yaml, path: "again.yaml")
      _ = again.located { $0 }
    }
  }

  private static let taskRecipe = FuzzReader(
    "task-recipe", "task recipe, and rows through its templates",
    dictionary: yamlWords + [
      "name", "prompt", "completion", "target", "choices", "label", "text", "{text}", "{{", "}}", "{", "max_tokens",
      "stop", "metrics",
      "score", "match", "extract", "number", "marker", "refusal", "prefixes", "rougeL", "perplexity", "whole_words",
    ]
  ) {
    let small = """
      name: sums
      prompt: "{{{text}}} is"
      completion: " {text}"
      choices: [{label: a, text: " a"}, {label: b, text: "{text}"}]
      max_tokens: 8
      stop: ["\\n"]
      metrics:
        - {score: match, extract: number, marker: "####"}
        - {name: words, score: match, extract: choice, choices: [yes, no], whole_words: true}
        - {score: refusal, prefixes: ["I cannot"], with_prompt: true}

      """
    return texts([small], hostile: [Hostile.laughs(key: "metrics"), Hostile.blockNesting(900)])
  } open: { workspace in
    try workspace.write(#"{"text": "a", "number": 1}"#, "rows.jsonl")
    return { input in
      let recipe = try TaskRecipe.named(try workspace.write(input.bytes, "task.yaml"))
      _ = try recipe.evaluationItems(path: workspace.path("rows.jsonl"), limit: 5)
      if recipe.completion != nil { _ = try recipe.trainingRows(path: workspace.path("rows.jsonl")) }
    }
  }
}
