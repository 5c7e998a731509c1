import ArgumentParser
import Checkpoints
import Foundation
import Hub
import Merging
import Torch

extension MergeCommand {
  struct Search: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Merge with every combination of numbers, score each, and keep the best.",
      discussion: """
        Numbers are lists: --density 0.1,0.2; with an input's name they are that input's alone: --weight sql=0.5,1. A single one \
        is fixed. Candidates are judged by the mean over --score files of the loss a label, as lota score gives it, or with \
        --eval by the mean of the recipes' first figures, of which more is better. Use rows that you report nothing on.

        A candidate lies on disk while it is scored; LoTA adapters merge without a model. Each one's scores are in \
        DIR/search.jsonl as soon as they are known, and the same command goes on after an interruption, also with more values. \
        DIR gets results.md and report.html.

        Example: lota merge search --method ties --base models/smollm2 \\
                   --input sql=models/sql --input math=models/math --density 0.1,0.2,0.4 --lambda 0.7,1,1.5 \\
                   --score sql.dev.jsonl --score math.dev.jsonl --results runs/search --out models/merged
        """)

    @OptionGroup var options: MergeOptions

    @Option(
      help: ArgumentHelp(
        "Model or adapter directory, and a name for it; may be repeated.", valueName: "[name=]dir[:weight]"))
    var input: [NamedInput] = []

    @Option(help: ArgumentHelp("Weights. Default: 1.", valueName: "[name=]list")) var weight: [NumberList] = []
    @Option(help: ArgumentHelp("Shares of a task vector's entries that stay.", valueName: "[name=]list"))
    var density: [NumberList] = []
    @Option(help: ArgumentHelp("What the merged task vector is multiplied by.", valueName: "list"))
    var lambda: [NumberList] = []
    @Option(help: ArgumentHelp("Shares of the largest entries that are dropped.", valueName: "[name=]list"))
    var gamma: [NumberList] = []
    @Option(help: ArgumentHelp("Spreads of the probabilities to stay.", valueName: "[name=]list"))
    var epsilon: [NumberList] = []
    @Option(help: ArgumentHelp("From 0, the base, to 1, the other model.", valueName: "list")) var t: [NumberList] = []

    @Option(help: ArgumentHelp("Rows to judge by, and a label for them; may be repeated.", valueName: "[label=]file"))
    var score: [LabelledFile] = []
    @Option(help: ArgumentHelp("Task recipe and its rows, to judge by; may be repeated.", valueName: "name=file"))
    var eval: [TaskArgument] = []
    @Option(help: "Only the first rows of each file of --eval.") var limit: Int?

    @Option(help: ArgumentHelp("Directory of results; those of an earlier run are used.", valueName: "dir"))
    var results: String
    @Option(help: ArgumentHelp("Model directory to create from the best.", valueName: "dir")) var out: String?
    @Option(help: ArgumentHelp("Adapter directory to create from the best, from LoTA adapters.", valueName: "dir"))
    var adapterOut: String?
    @Flag(help: "Replace an existing directory of --out or --adapter-out.") var overwrite = false

    @Option(help: "cpu, cuda, cuda:N or mps, for scoring.") var device = "cpu"
    @Option(help: "Threads to score with. Default: one a core.") var threads: Int?
    @Flag(help: "Print one JSON object.") var json = false

    func validate() throws {
      guard options.method != nil else { throw ValidationError("--method is missing") }
      guard !input.isEmpty else { throw ValidationError("--input is missing: name the models to merge") }
      guard score.isEmpty != eval.isEmpty else { throw ValidationError("judge by either --score or --eval") }
      guard axes.contains(where: { $0.values.count > 1 }) else {
        throw ValidationError("there is nothing to search: give several values, as in --density 0.1,0.2")
      }
      if limit != nil, eval.isEmpty { throw ValidationError("--limit needs --eval") }
      if let limit, limit < 1 { throw ValidationError("--limit is \(limit); use at least 1") }
      let labels = score.map(\.label) + eval.map(\.name)
      if Set(labels).count < labels.count {
        throw ValidationError("two files have the same label: name them, as in --score a=a.jsonl --score b=b.jsonl")
      }
      try ComputeOptions.check(device: device, threads: threads)
    }

    private var axes: [MergeSearch.Axis] {
      [
        ("density", density), ("weight", weight), ("lambda", lambda), ("gamma", gamma), ("epsilon", epsilon), ("t", t),
      ].flatMap { name, lists in lists.map { MergeSearch.Axis(name, input: $0.input, values: $0.values) } }
    }

    func run() throws {
      if let threads { try Engine.setThreadCount(threads) }
      guard let recipe = try options.recipe(input.map(\.input))?.located(by: HubCache().resolve) else { return }
      let first = recipe.base ?? recipe.inputs[0].path
      let scoring =
        score.isEmpty
        ? try MergeScoring(tasks: eval, limit: limit, device: Device(device) ?? .cpu)
        : try MergeScoring(score: score, tokenizer: first, device: Device(device) ?? .cpu)
      let search = try MergeSearch(recipe, names: input.map(\.name), axes: axes, goal: scoring.goal)
      try check(search)
      let log = try SearchLog(directory: results, digest: try search.digest(objective: scoring.identity))
      let records = try search.run(log) {
        try measure($0, scoring)
      } observe: { number, record, isNew in
        Output.note(SearchText.line(record, number: number, of: search, isNew: isNew))
        if isNew { try report(search, log.records, scoring) }
      }
      let page = try report(search, records, scoring)
      guard let best = search.best(of: records),
        let winner = search.candidates.first(where: { $0.settings == best.settings })
      else { throw MergeError.noFiniteScore }
      let merge = try Merge(winner.recipe)
      if let adapterOut { try merge.writeAdapter(to: adapterOut, overwrite: overwrite) }
      if let out { try merge.writeModel(to: out, overwrite: overwrite) }
      let figures = SearchFigures(best: best, candidates: records.count, out: out, adapterOut: adapterOut, report: page)
      if json { try Output.json(figures) } else { Output.result(figures.text(search)) }
    }

    /// What can be wrong with inputs and outputs, before anything is merged.
    private func check(_ search: MergeSearch) throws {
      for directory in [out, adapterOut].compactMap({ $0 }) {
        try FileSystem.checkPublishable(directory, overwrite: overwrite)
      }
      guard let candidate = search.candidates.first else { return }
      let merge = try Merge(candidate.recipe)
      if adapterOut != nil, let obstacle = merge.obstacleToSparse { throw MergeError.notSparse(reason: obstacle) }
    }

    private func measure(_ candidate: MergeSearch.Candidate, _ scoring: MergeScoring) throws -> SearchRecord {
      let clock = ContinuousClock()
      let start = clock.now
      let scratch = FileSystem.join(results, ".candidate")
      // Of a run that was cut short.
      if FileSystem.exists(scratch) { try FileSystem.remove(scratch) }
      let isAdapter = try Merge(candidate.recipe).writeSmallest(to: scratch) { Output.progress("merging \($0.tensor)") }
      let merged = clock.now
      defer { try? FileSystem.remove(scratch) }
      let model = isAdapter ? candidate.recipe.base ?? scratch : scratch
      let scores = try scoring.scores(model: model, adapters: isAdapter ? [scratch] : [], progress: Output.progress)
      Output.clearLine()
      return SearchRecord(
        settings: candidate.settings, scores: scores, mergeSeconds: (merged - start) / .seconds(1),
        scoreSeconds: (clock.now - merged) / .seconds(1))
    }

    @discardableResult
    private func report(_ search: MergeSearch, _ records: [SearchRecord], _ scoring: MergeScoring) throws -> String {
      try SearchReport(search, records: records, measure: scoring.measure).write(to: results)
    }
  }
}
