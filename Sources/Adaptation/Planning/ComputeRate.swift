public import Checkpoints
internal import Decoder
public import Torch

/// How fast a device multiplies matrices of a model's shapes, and moves memory.
public struct ComputeRate: Encodable, Equatable, Sendable {
  /// Floating-point operations a second in matrix products alone.
  public let productOperationsPerSecond: Double
  /// Bytes a second, read and written; nil: not known, and not counted.
  public let bytesPerSecond: Double?

  /// Share of the products' rate at which a whole step's arithmetic goes: the rest goes to norms, activations, softmax and
  /// attention over short sequences. Measured steps lie between 0.75 and 0.86 on 2 CPU cores.
  public static let stepEfficiency = 0.8

  /// A rate that is known, a data sheet's for example.
  public init(operationsPerSecond: Double) {
    productOperationsPerSecond = operationsPerSecond
    bytesPerSecond = nil
  }

  /// Measures for about a second.
  ///
  /// - Throws: ``TorchError/noSuchDevice(_:)``
  public init(measuring model: ModelConfiguration, device: Device, dtype: DType? = nil) throws {
    let dtype = dtype ?? LanguageModel.defaultType(of: model, on: device)
    let tokens = 1024
    let (width, inner) = (model.hiddenSize, model.intermediateSize)
    let x = try Tensor.full([tokens, width], 0.5, dtype, on: device)
    let weight = try Tensor.full([2 * inner, width], 0.01, dtype, on: device)
    let y = try Tensor.full([tokens, 2 * inner], 0.5, dtype, on: device)
    let products: [() throws -> Void] = [
      { try y.setProduct(x, weight, transposeB: true) }, { try x.setProduct(y, weight) },
      { try weight.setProduct(y, x, transposeA: true) },
    ]
    let operations = 2 * Double(tokens) * Double(2 * inner) * Double(width) * Double(products.count)
    let (rounds, seconds) = try Self.measure(for: .milliseconds(700), on: device) {
      for product in products { try product() }
      // The same sizes of numbers, round after round.
      for tensor in [x, weight, y] { try tensor.fill(0.01) }
    }
    productOperationsPerSecond = operations * Double(rounds) / seconds

    let source = try Tensor.zeros([16 << 20], on: device)
    let target = try Tensor.empty(source.shape, on: device)
    let (copies, copySeconds) = try Self.measure(for: .milliseconds(200), on: device) { try target.copy(from: source) }
    bytesPerSecond = 2 * Double(source.byteCount) * Double(copies) / copySeconds
  }

  /// Runs `body` once for nothing, then as often as fits.
  private static func measure(
    for duration: Duration, on device: Device, _ body: () throws -> Void
  ) throws -> (rounds: Int, seconds: Double) {
    try body()
    try Engine.synchronize(device)
    let clock = ContinuousClock()
    let start = clock.now
    var rounds = 0
    repeat {
      try body()
      rounds += 1
      try Engine.synchronize(device)
    } while clock.now - start < duration
    return (rounds, (clock.now - start) / .seconds(1))
  }
}
