import ArgumentParser
import Checkpoints
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
    Output.result("\(output.out): \(summary)")
  }
}
