internal import Tickets
internal import Torch

/// How a ticket's gradient entries are come by.
public enum TicketGradient: String, Codable, Sendable, CaseIterable {
  /// The faster way for the density of each matrix, as measured.
  case automatic = "auto"
  /// The whole matrix's gradient as one product, of which the entries are gathered.
  case dense
  /// Each entry as a sum over tokens, and no other: float32 on the CPU; elsewhere as `dense`.
  case sampled

  /// Share of a matrix's entries up to which sums are faster than the whole product. On x86-64 with AVX-512 they are 1.3 times
  /// as fast at 0.25, 2.6 times at 0.1, 6 times at 0.01; at 0.5 the product is.
  static let densestSampled = 0.25

  /// Time that the entries of that share of a matrix take by themselves, over the whole product's, as measured: 0.39 at 0.1.
  static func timeShare(density: Double) -> Double { 0.13 + 2.6 * density }

  /// Embeddings and head have gradients of their own making, which are whole.
  func samples(entries: Int, of name: String, shape: [Int], _ dtype: DType, on device: Device) -> Bool {
    guard TicketScope.Weight(name: name) != nil, Kernels.canSampleProducts(dtype, on: device) else { return false }
    switch self {
    case .dense: return false
    case .sampled: return true
    case .automatic: return Self.isFaster(density: Double(entries) / Double(shape.reduce(1, *)))
    }
  }

  /// Elsewhere than on x86-64, matrix products run on units that these sums do not use; nothing was measured there.
  private static func isFaster(density: Double) -> Bool {
    #if arch(x86_64)
    return density <= densestSampled
    #else
    return false
    #endif
  }
}
