internal import Tickets

extension Adapter {
  /// How a later adapter names this one: a short name, and the digest of its records.
  var prerequisite: String { "\(AdapterReference(path).name):\(configuration.recordsDigest)" }
}

extension RunConfiguration {
  /// What beginning with adapters means for the result.
  var adaptersNote: String? {
    guard !adapters.isEmpty else { return nil }
    let count = adapters.count == 1 ? "1 adapter is" : "\(adapters.count) adapters are"
    return switch method {
    case .lota:
      "\(count) applied to the base, and the weights that they change are excluded from calibration and ticket"
    case .lora: "\(count) applied to the base; the new one belongs on top, in the same order"
    case .fft: "\(count) applied to the base; the model that is written holds what they changed"
    }
  }
}
