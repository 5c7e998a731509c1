internal import Checkpoints
internal import Decoder
internal import Foundation
internal import Tickets
public import Torch

/// Times what adapters cost on a model in memory: loading one, and switching between two.
public struct AdapterBenchmark: Sendable {
  /// Model directory.
  public var model: String
  /// Adapter directories, two for switching. Their tickets may overlap: one is taken out when the other goes in.
  public var adapters: [String]
  public var dtype: DType?
  public var device = Device.cpu
  /// Times that each thing is done.
  public var repeats = 5

  public init(model: String, adapters: [String]) {
    self.model = model
    self.adapters = adapters
  }

  public struct Report: Encodable, Equatable, Sendable {
    /// Reading the model.
    public let modelSeconds: Double
    public let modelBytes: Int
    /// Largest resident size of the process with the model read, in bytes.
    public let modelPeakMemoryBytes: Int
    public let trained: [Int]
    /// From an adapter's files to a changed model, the base's digests checked; every time.
    public let loadAndApplySeconds: [Double]
    /// Of that, checking that the base is the adapter's.
    public let verifySeconds: [Double]
    /// Largest resident size of the process after the first of them, in bytes.
    public let peakMemoryBytes: Int
    /// Of the adapters, decoded.
    public let residentBytes: Int
    /// Putting a decoded adapter in, and taking it out again.
    public let applySeconds: [Double]
    public let removeSeconds: [Double]
    /// One out, another in; every time.
    public let swapSeconds: [Double]
    /// Whether every weight is the base's, bit for bit, at the end.
    public let isBaseRestored: Bool
  }

  public func run() throws -> Report {
    let clock = ContinuousClock()
    func seconds(_ body: () throws -> Void) rethrows -> Double { try clock.measure(body) / .seconds(1) }
    let start = clock.now
    let loaded = try LoadedModel(mapping: model, dtype: dtype, device: device)
    let modelSeconds = (clock.now - start) / .seconds(1)
    let modelPeak = Engine.peakMemoryInBytes
    let target = try AdapterTarget(loaded.model, base: loaded.base)
    var (load, verify): ([Double], [Double]) = ([], [])
    var trained: [Int] = []
    var peak: Int?
    for directory in adapters {
      for _ in 0..<repeats {
        var checking = 0.0
        load.append(
          try seconds {
            let adapter = try Adapter(directory: directory)
            checking = try seconds { try adapter.verify(base: loaded.base) }
            try loaded.model.apply([adapter], base: loaded.base)
          })
        verify.append(checking)
        peak = peak ?? Engine.peakMemoryInBytes
        try target.swap(removing: [ResidentAdapter(Adapter(directory: directory), base: loaded.base)], adding: [])
      }
      trained.append(try Adapter(directory: directory).configuration.trainedCount)
    }
    let resident = try adapters.map { try ResidentAdapter(Adapter(directory: $0), base: loaded.base) }
    var (apply, remove, swap): ([Double], [Double], [Double]) = ([], [], [])
    for _ in 0..<repeats {
      for (position, adapter) in resident.enumerated() {
        let next = resident[(position + 1) % resident.count]
        apply.append(try seconds { try target.swap(removing: [], adding: [adapter]) })
        swap.append(try seconds { try target.swap(removing: [adapter], adding: [next]) })
        remove.append(try seconds { try target.swap(removing: [next], adding: []) })
      }
    }
    return Report(
      modelSeconds: modelSeconds, modelBytes: loaded.model.parameters.reduce(0) { $0 + $1.value.byteCount },
      modelPeakMemoryBytes: modelPeak, trained: trained, loadAndApplySeconds: load, verifySeconds: verify,
      peakMemoryBytes: peak ?? 0,
      residentBytes: resident.reduce(0) { $0 + $1.byteCount }, applySeconds: apply, removeSeconds: remove,
      swapSeconds: swap, isBaseRestored: try loaded.holdsBase())
  }
}

extension LoadedModel {
  /// Whether the live weights are the base file's, bit for bit, in the compute type.
  func holdsBase() throws -> Bool {
    for parameter in model.parameters where base.contains(parameter.name) {
      let live = try parameter.value.stored(as: model.dtype)
      let description = try base.description(of: parameter.name)
      let stored = try Tensor.empty(description.shape, description.dtype)
      try base.withBytes(of: parameter.name) { try stored.copyBytes(from: $0) }
      try base.adviseDone(with: parameter.name)
      let expected = try stored.stored(as: model.dtype)
      let isEqual = try live.withBytes { left in
        try expected.withBytes { right in
          guard let first = left.baseAddress, let second = right.baseAddress else { return left.count == right.count }
          return left.count == right.count && memcmp(first, second, left.count) == 0
        }
      }
      guard isEqual else { return false }
    }
    return true
  }
}
