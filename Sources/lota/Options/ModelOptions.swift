import Adaptation
import ArgumentParser
import Torch

/// Which model, and where it computes.
struct ModelOptions: ParsableArguments {
  @Option(help: ArgumentHelp("Model directory in Hugging Face layout.", valueName: "dir"))
  var model: String

  @OptionGroup var compute: ComputeOptions
}

struct ComputeOptions: ParsableArguments {
  @Option(help: "cpu, cuda, cuda:N or mps.")
  var device = "cpu"

  @Option(
    help:
      "Type to compute in: float32, bfloat16, float16 or float64. Default: float32 on the CPU, else the checkpoint's.")
  var dtype: String?

  @Option(help: "Threads to compute with. Default: one a core.")
  var threads: Int?

  func validate() throws {
    try Self.check(device: device, threads: threads)
    if let dtype, DType(configurationName: dtype)?.isFloatingPoint != true {
      throw ValidationError("--dtype is '\(dtype)': use float32, bfloat16, float16 or float64")
    }
  }

  static func check(device: String, threads: Int?) throws {
    guard Device(device) != nil else { throw ValidationError("--device is '\(device)': use cpu, cuda, cuda:N or mps") }
    if let threads, !(1...1024).contains(threads) { throw ValidationError("--threads is \(threads): use 1 to 1024") }
  }

  func apply() throws { if let threads { try Engine.setThreadCount(threads) } }

  var resolvedDevice: Device { Device(device) ?? .cpu }
  var resolvedType: DType? { dtype.flatMap(DType.init(configurationName:)) }
}

/// Adapters over a model, in any number, with disjoint tickets.
struct AdapterOptions: ParsableArguments {
  @Option(
    name: .customLong("adapter"), help: ArgumentHelp("Adapter directory to apply; may be repeated.", valueName: "dir"))
  var adapters: [String] = []
}

extension LoadedModel {
  convenience init(_ options: ModelOptions, adapters: AdapterOptions) throws {
    try options.compute.apply()
    try self.init(
      mapping: options.model, dtype: options.compute.resolvedType, device: options.compute.resolvedDevice,
      adapters: adapters.adapters)
  }
}
