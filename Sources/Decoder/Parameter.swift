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
