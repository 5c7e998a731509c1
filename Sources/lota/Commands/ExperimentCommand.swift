import ArgumentParser
import Experiments
import Foundation
import Hub

struct ExperimentCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "experiment", abstract: "Run a plan: train tasks in sequence, score every task after every stage.",
    discussion: """
      What is finished is kept under the digest of all that went into it: run the same plan again after an interruption, or
      with a stage changed or added, and only what is missing runs. Ctrl-C ends the step and saves. \
      Each stage is a command of its own, shown in its record.
      Leaves report.html and results.md: the retention matrix, curves, ticket overlap, times, memory, sizes.
      Plans: docs/experiments.md, Examples/plans.

      Example: lota experiment Examples/plans/sequential.yaml --model models/smollm2 --data rows --out runs/sequential
      """)

  @Argument(help: ArgumentHelp("Plan file (.yaml).", valueName: "plan"))
  var plan: String

  @Option(help: ArgumentHelp("Directory of results; those of an earlier run are used.", valueName: "dir"))
  var out: String?

  @Option(help: ArgumentHelp("Model to begin with, in place of the plan's.", valueName: "dir"))
  var model: String?

  @Option(help: ArgumentHelp("Directory of the tasks' files, in place of the plan's own.", valueName: "dir"))
  var data: String?

  @Flag(help: "Show the stages and run nothing.")
  var list = false

  func run() throws {
    let experiment = try ExperimentPlan(path: plan, model: model, data: data, locate: HubCache().resolve)
    try experiment.checkOptions(path: plan) { arguments in
      do { _ = try Lota.parseAsRoot(arguments) } catch { throw ValidationError(Lota.message(for: error)) }
    }
    if list { return Output.result(ExperimentText.stages(StageGraph(experiment))) }
    let output = out ?? "runs/\(experiment.name)"
    Interruption.endStep()
    let runner = ProcessRunner(executable: try Self.executable()) { Interruption.isPending }
    var run = try ExperimentRun(experiment, output: output, runner: runner, observe: ExperimentText.show)
    let results = try run.run { try ExperimentReport($0).write(to: output) }
    Output.clearLine()
    Output.result("report   \(try ExperimentReport(results).write(to: output))")
  }

  private static func executable() throws -> String {
    #if os(Linux)
    return try FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")
    #else
    guard let path = Bundle.main.executablePath else { throw ValidationError("the program's own file is not known") }
    return path
    #endif
  }
}
