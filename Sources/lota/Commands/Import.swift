import ArgumentParser
import Checkpoints
import Reports
import Torch

struct Import: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Turn a GGUF file into a model directory.",
    discussion: "Example: lota import model.gguf --out models/smollm2")

  @Argument(help: "GGUF file (llama architecture).")
  var file: String

  @OptionGroup var output: OutputOptions

  @Option(help: "Type to store weights in: float32, bfloat16 or float16.")
  var dtype = "float32"

  func validate() throws {
    guard DType(configurationName: dtype)?.isFloatingPoint == true else {
      throw ValidationError("--dtype is '\(dtype)': use float32, bfloat16 or float16")
    }
  }

  func run() throws {
    let type = DType(configurationName: dtype) ?? .float32
    let summary = try GGUFImporter.importModel(from: file, to: output.out, dtype: type, overwrite: output.overwrite)
    Output.result(text(summary))
  }

  private func text(_ summary: GGUFImporter.Summary) -> String {
    let types = summary.storedTypes.sorted { ($1.value, $0.key) < ($0.value, $1.key) }.map { "\($0.key) \($0.value)" }
    return [
      "model    \(output.out)\(summary.modelName.map { " (\($0))" } ?? "")",
      "weights  \(summary.parameterCount) in \(summary.tensorCount) tensors, \(summary.layerCount) layers, "
        + "vocabulary \(summary.vocabularySize)\(summary.tiesEmbeddings ? ", head tied to the embedding" : "")",
      "read as  \(types.joined(separator: ", "))",
      "size     \(NumberText.bytes(summary.byteCount)) in \(dtype)",
      "chat     \(summary.hasChatTemplate ? "has a template" : "no template")",
    ].joined(separator: "\n")
  }
}
