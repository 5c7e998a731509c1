public import Torch

/// Receives every parameter's gradient as soon as it exists, during the backward pass.
///
/// A matrix's gradient arrives after the gradient of its input was computed, so a sink may update the weight at once.
/// The tensor is a buffer that the next gradient overwrites: a sink that needs it longer keeps a copy.
public protocol GradientSink: AnyObject {
  /// Whether the gradient has to be computed at all.
  func needsGradient(of parameter: Parameter) -> Bool
  /// `gradient` has the parameter's shape.
  func consume(_ gradient: Tensor, of parameter: Parameter) throws
  /// Of a matrix whose gradient is needed: whether a few entries are to be computed alone, instead of the whole gradient.
  func wantsEntries(of parameter: Parameter) -> Bool
  /// Those entries, where ``wantsEntries(of:)`` says so.
  func entries(of parameter: Parameter) throws -> GradientEntries?
  /// The entries that were asked for are in their place. Called instead of ``consume(_:of:)``.
  func consumeEntries(of parameter: Parameter) throws
}

extension GradientSink {
  public func wantsEntries(of parameter: Parameter) -> Bool { false }
  public func entries(of parameter: Parameter) throws -> GradientEntries? { nil }
  public func consumeEntries(of parameter: Parameter) throws {}
}

/// A few entries of one matrix `[O, I]`, k in number, and where their gradients go.
public struct GradientEntries {
  /// int32 `[k]`, ascending: `o * I + i`.
  package let index: Tensor
  /// int32 `[O + 1]`: row o has the entries `rowStart[o] ..< rowStart[o + 1]`.
  package let rowStart: Tensor
  /// float32 `[k]`
  package let gradient: Tensor
  /// Whether the gradients are added to what stands there.
  package let accumulates: Bool

  package init(index: Tensor, rowStart: Tensor, gradient: Tensor, accumulates: Bool) {
    self.index = index
    self.rowStart = rowStart
    self.gradient = gradient
    self.accumulates = accumulates
  }
}

/// How much of a parameter's gradient a sink wants.
package enum GradientDemand: Equatable {
  case none, entries, whole

  package init(_ sink: any GradientSink, _ parameter: Parameter) {
    self = !sink.needsGradient(of: parameter) ? .none : sink.wantsEntries(of: parameter) ? .entries : .whole
  }
}
