public import Torch

/// One named weight of a model, by its Hugging Face name. The value is a view into the model's storage and is updated
/// in place.
public final class Parameter {
  public let name: String
  public let value: Tensor

  package init(name: String, value: Tensor) {
    self.name = name
    self.value = value
  }

  public var shape: [Int] { value.shape }
}

/// Receives every parameter's gradient as soon as it exists, during the backward pass.
///
/// A matrix's gradient arrives after the gradient of its input was computed, so a sink may update the weight at once.
/// The tensor is a buffer that the next gradient overwrites: a sink that needs it longer keeps a copy.
public protocol GradientSink: AnyObject {
  /// Whether the gradient has to be computed at all.
  func needsGradient(of parameter: Parameter) -> Bool
  /// `gradient` has the parameter's shape.
  func consume(_ gradient: Tensor, of parameter: Parameter) throws
}
