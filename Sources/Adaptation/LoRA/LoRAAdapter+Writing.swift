internal import Checkpoints
package import Decoder
package import Tickets
package import Torch

extension LoRAAdapter {
  /// Writes trained additions as PEFT does, in float32; the directory appears only when it is complete.
  ///
  /// - Parameters:
  ///   - directory: must not exist, or be empty, unless `overwrite`.
  ///   - baseModel: what PEFT loads the base from.
  ///   - value: a matrix as it is to be stored.
  @discardableResult
  package static func write(
    to directory: String, _ additions: LowRankAdditions, settings: LoRASettings, baseModel: String,
    overwrite: Bool = false, value: (Parameter) -> Tensor
  ) throws -> LoRAAdapter {
    let modules = additions.parts.map { $0.down.name.dropLast(downSuffix.count) }
    let targets = Set(modules.compactMap { $0.split(separator: ".").last })
    var configuration = LoRAConfiguration(
      rank: settings.rank, alpha: settings.alpha, targetModules: targets.map(String.init).sorted())
    if additions.settings.layerParity != nil {
      configuration.layers = Set(modules.compactMap { TicketScope.Weight(name: $0 + ".weight")?.layer }).sorted()
    }
    try FileSystem.publishDirectory(directory, overwrite: overwrite) { temporary in
      let parameters = additions.parameters
      let writer = try SafetensorsWriter(
        path: FileSystem.join(temporary, weightsFileName),
        tensors: try parameters.map { try TensorDescription(name: prefix + $0.name, dtype: .float32, shape: $0.shape) },
        metadata: ["format": "pt"])
      for parameter in parameters {
        try value(parameter).stored(as: .float32).withBytes { try writer.append(UnsafeRawBufferPointer($0)) }
      }
      try writer.finish()
      try FileSystem.writeAtomically(
        configuration.encoded(baseModel: baseModel, dropout: settings.dropout),
        to: FileSystem.join(temporary, LoRAConfiguration.fileName))
    }
    return try LoRAAdapter(directory: directory)
  }
}
