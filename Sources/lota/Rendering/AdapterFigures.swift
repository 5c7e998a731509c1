import Foundation
import Reports
import Tickets
import Torch

/// What `adapter inspect` reports.
struct AdapterFigures: Encodable {
  /// Bits a trained weight.
  struct Bits: Encodable {
    let index: Double
    let value: Double
    let overhead: Double
    let total: Double
    /// Least for the indices, given each tensor's density.
    let indexEntropy: Double
    /// Order-0 entropy of the values.
    let valueEntropy: Double
  }

  let method: String
  let trained: Int
  let scoped: Int
  let sparsity: Double
  let tensors: Int
  let bytes: Int
  let bits: Bits
  /// How values are stored: exact, bfloat16 or int8.
  let valueCoding: ValueCoding
  /// Where that is lossy.
  let valueError: ValueError?
  /// Fraction of the trained weights that ended where they began, in the base's element type.
  let unchanged: Double
  /// Of the whole base model.
  let denseBytes: Int
  /// Of a LoRA with as many trained weights, in the base's element type.
  let equalLoRABytes: Int
  let base: String
  let training: [String: String]
  let layers: [DensityTable.Row]

  init(_ adapter: Adapter, _ statistics: AdapterStatistics) {
    let configuration = adapter.configuration
    method = configuration.method
    trained = configuration.trainedCount
    scoped = configuration.scopedCount
    sparsity = configuration.sparsity
    tensors = adapter.tensorNames.count
    bytes = statistics.byteCount
    bits = Bits(
      index: statistics.indexBits, value: statistics.valueBits, overhead: statistics.overheadBits,
      total: statistics.bits,
      indexEntropy: statistics.indexEntropyBits, valueEntropy: statistics.valueEntropyBits)
    valueCoding = configuration.valueCoding
    valueError = configuration.valueError
    unchanged = statistics.unchanged
    denseBytes = configuration.baseByteCount
    equalLoRABytes = configuration.baseTensors.values.reduce(0) { $0 + $1.trained * $1.dtype.byteCount }
    base = configuration.baseFingerprint
    training = configuration.training
    layers = DensityTable.rows(statistics.density)
  }

  var text: String {
    func number(_ value: Double) -> String { String(format: "%.2f", value) }
    func share(_ whole: Int) -> String { NumberText.percent(Double(bytes) / Double(max(1, whole)), decimals: 2) }
    var lines = [
      "method   \(method)",
      "trained  \(trained) of \(scoped) scoped weights (sparsity \(sparsity)) in \(tensors) tensors; "
        + "\(NumberText.percent(unchanged)) unchanged",
      "size     \(NumberText.bytes(bytes)): \(share(denseBytes)) of the dense model (\(NumberText.bytes(denseBytes))), "
        + "\(share(equalLoRABytes)) of a LoRA with as many weights (\(NumberText.bytes(equalLoRABytes)))",
      "bits     \(number(bits.total)) a trained weight: index \(number(bits.index)) (entropy bound "
        + "\(number(bits.indexEntropy))), value \(number(bits.value)) (entropy \(number(bits.valueEntropy))), "
        + "overhead \(number(bits.overhead))",
      "values   \(valueError.map { Self.text(valueCoding, $0) } ?? valueCoding.rawValue)",
      "base     \(base)",
    ]
    lines += training.sorted { $0.key < $1.key }.map { ($0.key + "  ").rightPadded(to: 9) + $0.value }
    return (lines + ["", DensityTable.text(layers)]).joined(separator: "\n")
  }
}

extension AdapterFigures {
  static func text(_ coding: ValueCoding, _ error: ValueError) -> String {
    String(
      format: "%@ updates, error %.3g of the updates' norm, largest %.3g", coding.rawValue, error.relativeRMS,
      error.maximum)
  }
}

/// What `adapter encode` reports.
struct EncodingFigures: Encodable {
  let exactBytes: Int
  let bytes: Int
  /// Of the whole adapter, a trained weight.
  let bits: Double
  let valueCoding: ValueCoding
  let valueError: ValueError?

  init(exact: Adapter, encoded: Adapter) {
    exactBytes = exact.byteCount
    bytes = encoded.byteCount
    bits = 8 * Double(bytes) / Double(max(1, encoded.configuration.trainedCount))
    valueCoding = encoded.configuration.valueCoding
    valueError = encoded.configuration.valueError
  }

  var text: String {
    let size =
      "\(NumberText.bytes(bytes)), \(String(format: "%.2f", bits)) bits a trained weight (exact: \(NumberText.bytes(exactBytes)))"
    return valueError.map { "\(size); \(AdapterFigures.text(valueCoding, $0))" } ?? size
  }
}

/// What `adapter diff` reports.
struct ComparisonFigures: Encodable {
  let first: Int
  let second: Int
  let both: Int
  let jaccard: Double
  /// Shared weights that the two moved in opposite directions.
  let conflicts: Int
  let cosine: Double?

  init(_ comparison: AdapterComparison) {
    let total = comparison.total
    first = total.first
    second = total.second
    both = total.both
    jaccard = total.jaccard
    conflicts = total.conflicts
    cosine = total.cosine
  }

  var text: String {
    let share = both == 0 ? "" : " (\(NumberText.percent(Double(conflicts) / Double(both))) of them)"
    return """
      first     \(first) weights
      second    \(second) weights
      both      \(both), Jaccard \(String(format: "%.6f", jaccard))
      conflicts \(conflicts)\(share)
      cosine    \(cosine.map { String(format: "%.6f", $0) } ?? "needs --model, the base")
      """
  }
}
