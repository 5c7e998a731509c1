import Checkpoints
import Foundation
import Torch

/// Where an adapter's bytes go, and how few they could be. Bits are per trained weight.
public struct AdapterStatistics: Equatable, Sendable {
  public let trained: Int
  /// Bytes of both files.
  public let byteCount: Int
  public let indexBits: Double
  public let valueBits: Double
  /// Configuration, header, and the records' heads.
  public let overheadBits: Double
  /// Entropy of which weights are trained, given each tensor's density: sum of `n H(density)` over tensors of `n` weights.
  public let indexEntropyBits: Double
  /// Order-0 entropy of the stored values of all tensors together: differences, bfloat16 patterns, or steps without their scales.
  public let valueEntropyBits: Double
  /// Fraction of the entries whose stored value is zero: the weight did not change, in the base's element type.
  public let unchanged: Double
  /// Trained weights and all weights by layer and projection, over the tensors that the adapter changes.
  public let density: MaskDensity

  public var bits: Double { indexBits + valueBits + overheadBits }

  /// Reads and decodes the whole adapter.
  ///
  /// - Throws: `adapterMalformed`.
  public init(_ adapter: Adapter) throws {
    let tensors = adapter.configuration.baseTensors
    let trained = adapter.configuration.trainedCount
    var histogram = SymbolHistogram()
    var (indexBytes, valueBytes) = (0, 0)
    for name in adapter.tensorNames {
      guard let stored = try adapter.stored(of: name) else { continue }
      histogram.count(stored.values, width: PatternDifference.width(of: stored.dtype) ?? 32)
      indexBytes += stored.indexByteCount
      valueBytes +=
        try adapter.file.description(of: name).byteCount - AdapterRecord.headByteCount - stored.indexByteCount
    }
    let scale = 8 / Double(max(1, trained))
    self.trained = trained
    byteCount = adapter.byteCount
    indexBits = Double(indexBytes) * scale
    valueBits = Double(valueBytes) * scale
    overheadBits = Double(adapter.byteCount - indexBytes - valueBytes) * scale
    indexEntropyBits =
      tensors.values.reduce(0) {
        $0 + Self.indexEntropy(trained: $1.trained, of: TensorDescription.elementCount(of: $1.shape) ?? 0)
      } / Double(max(1, trained))
    valueEntropyBits = histogram.entropy
    unchanged = Double(histogram.zeros) / Double(max(1, trained))
    density = MaskDensity(
      adapter.tensorNames.compactMap { name in
        tensors[name].map {
          (name, .init(kept: $0.trained, scoped: TensorDescription.elementCount(of: $0.shape) ?? 0))
        }
      })
  }

  /// Bits that say which `trained` of `count` weights are meant, each being one with the same probability.
  static func indexEntropy(trained: Int, of count: Int) -> Double {
    guard trained > 0, trained < count else { return 0 }
    let (kept, left) = (Double(trained), Double(count - trained))
    return kept * log2(Double(count) / kept) + left * log2(Double(count) / left)
  }
}

/// How often each difference occurs.
private struct SymbolHistogram {
  /// By symbol, for those that are no larger.
  private var near = [UInt32](repeating: 0, count: 1 << 22)
  private var far: [UInt32: Int] = [:]

  mutating func count(_ values: StoredValues, width: UInt32) {
    switch values {
    case .differences(let differences):
      for difference in differences { count(PatternDifference.symbol(difference, width: width)) }
    case .bfloat16(let patterns):
      // Both zeros are one.
      for pattern in patterns { count(pattern == 1 << 15 ? 0 : UInt32(pattern)) }
    case .int8(_, let steps):
      for step in steps { count(StoredValues.symbol(step)) }
    }
  }

  @inline(__always)
  private mutating func count(_ symbol: UInt32) {
    if symbol < near.count { near[Int(symbol)] &+= 1 } else { far[symbol, default: 0] += 1 }
  }

  var zeros: Int { Int(near[0]) }

  var entropy: Double {
    let counts = near.lazy.filter { $0 > 0 }.map(Int.init) + Array(far.values)
    let total = Double(counts.reduce(0, +))
    return total == 0 ? 0 : counts.reduce(0) { $0 + Double($1) * log2(total / Double($1)) } / total
  }
}
