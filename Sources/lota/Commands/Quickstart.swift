import Adaptation
import ArgumentParser

struct Quickstart: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Adapt a small real model to text-to-SQL, and show what changed.",
    discussion: """
      Fetches SmolLM2-135M-Instruct, makes its own rows, runs calibration, extraction and adaptation, compares held-out
      loss and exact match before and after, and writes the adapter and report.html.

      Example: lota quickstart --out quickstart
      """)

  @Option(help: ArgumentHelp("Directory to create.", valueName: "dir")) var out = "quickstart"
  @Option(help: ArgumentHelp("GGUF file to use instead of fetching one.", valueName: "file")) var gguf: String?
  @OptionGroup var compute: ComputeOptions
  @Flag(help: "Replace an existing directory.") var overwrite = false
  @Flag(help: "Print one JSON object with all figures.") var json = false

  func run() throws {
    try compute.apply()
    let renderer = RunRenderer()
    let quickstart = try QuickstartRun(
      QuickstartSettings(), output: out, device: compute.device, dtype: compute.dtype, overwrite: overwrite,
      note: { Output.note($0) }, progress: { Output.progress($0) }, observe: { renderer.show($0) })
    let result = try quickstart.run(gguf: try gguf ?? QuickstartModel.fetch())
    if json { try Output.json(result) } else { Output.result(QuickstartText.render(result)) }
  }
}
