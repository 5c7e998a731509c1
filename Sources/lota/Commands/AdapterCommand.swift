import ArgumentParser
import Checkpoints
import Foundation
import Tickets

struct AdapterCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "adapter", abstract: "Inspect, apply and verify adapters.",
    subcommands: [Inspect.self, Apply.self, Verify.self])

  struct Inspect: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "What an adapter holds.", discussion: "Example: lota adapter inspect runs/sql/adapter")

    @Argument(help: "Adapter directory.") var directory: String
    @Flag(help: "Print one JSON object.") var json = false

    func run() throws {
      let adapter = try Adapter(directory: directory)
      let figures = AdapterFigures(adapter)
      if json { try Output.json(figures) } else { Output.result(figures.text) }
    }
  }

  struct Apply: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Write the model that a base becomes with adapters.",
      discussion: "Example: lota adapter apply --model models/smollm2 --adapter runs/sql/adapter --out models/sql")

    @Option(help: ArgumentHelp("Base model directory.", valueName: "dir")) var model: String
    @Option(help: ArgumentHelp("Adapter directory; may be repeated.", valueName: "dir")) var adapter: [String]
    @Option(help: ArgumentHelp("Directory to create.", valueName: "dir")) var out: String
    @Flag(help: "Replace an existing directory.") var overwrite = false

    func run() throws {
      let adapters = try adapter.map { try Adapter(directory: $0) }
      try Adapter.apply(adapters, to: try Checkpoint(directory: model), output: out, overwrite: overwrite)
      Output.result(out)
    }
  }

  struct Verify: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Check that an adapter is intact and belongs to a base.",
      discussion: "Example: lota adapter verify --model models/smollm2 --adapter runs/sql/adapter")

    @Option(help: ArgumentHelp("Base model directory.", valueName: "dir")) var model: String
    @Option(help: ArgumentHelp("Adapter directory.", valueName: "dir")) var adapter: String

    func run() throws {
      try Adapter(directory: adapter).verify(base: try Checkpoint(directory: model))
      Output.result("\(adapter) is intact and belongs to \(model)")
    }
  }
}

/// What `adapter inspect` reports.
struct AdapterFigures: Encodable {
  let method: String
  let trained: Int
  let scoped: Int
  let sparsity: Double
  let tensors: Int
  let bytes: Int
  let bitsPerTrainedWeight: Double
  let base: String
  let training: [String: String]

  init(_ adapter: Adapter) {
    let configuration = adapter.configuration
    method = configuration.method
    trained = configuration.trainedCount
    scoped = configuration.scopedCount
    sparsity = configuration.sparsity
    tensors = adapter.tensorNames.count
    bytes = adapter.byteCount
    bitsPerTrainedWeight = 8 * Double(bytes) / Double(max(1, trained))
    base = configuration.baseFingerprint
    training = configuration.training
  }

  var text: String {
    var lines = [
      "method   \(method)",
      "trained  \(trained) of \(scoped) scoped weights (sparsity \(sparsity)) in \(tensors) tensors",
      "size     \(Format.bytes(bytes)), \(String(format: "%.1f", bitsPerTrainedWeight)) bits a trained weight",
      "base     \(base)",
    ]
    lines += training.sorted { $0.key < $1.key }.map { $0.key.rightPadded(to: 9) + $0.value }
    return lines.joined(separator: "\n")
  }
}
