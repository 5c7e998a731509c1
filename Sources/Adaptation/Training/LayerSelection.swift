internal import Tickets

/// Which layers train; freezing every other one is the LoTA authors' stronger baseline for low-rank adaptation.
///
/// Layers count from zero. With `even` and `odd`, what lies outside the layers (embeddings, last norm, head) is frozen too.
public enum LayerSelection: String, Codable, Sendable, CaseIterable {
  case all, even, odd

  /// 0 or 1; nil for all layers.
  var parity: Int? {
    switch self {
    case .all: nil
    case .even: 0
    case .odd: 1
    }
  }

  package func contains(_ layer: Int) -> Bool { parity.map { layer % 2 == $0 } ?? true }

  /// Whether full fine-tuning trains the parameter of a name.
  package func trains(_ parameter: String) -> Bool {
    guard self != .all else { return true }
    let parts = parameter.split(separator: ".", maxSplits: 3)
    guard parts.count == 4, parts[0] == "model", parts[1] == "layers", let layer = Int(parts[2]) else { return false }
    return contains(layer)
  }

  /// - Throws: ``TrainingError/invalidOption(name:value:expected:)`` when a model has no such layer.
  package func check(layerCount: Int) throws {
    guard (0..<layerCount).contains(where: contains) else {
      throw TrainingError.invalidOption(
        name: "layers", value: rawValue, expected: "all or even for a model of \(layerCount) layer")
    }
  }
}
