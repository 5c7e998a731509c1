public import Foundation

/// What can go wrong in the engine. The message names the operation and the shapes it was given.
public enum TorchError: Error, Equatable, Sendable {
  /// Shapes, element types or devices do not fit together.
  case invalidArgument(message: String, shapes: [[Int]])
  /// The device has no room for the result.
  case outOfMemory(message: String, shapes: [[Int]])
  /// This build of libtorch, this device or this element type cannot do it.
  case notSupported(message: String)
  case failed(message: String)
  /// A device that this machine does not have.
  case noSuchDevice(Device)
}

extension TorchError: CustomStringConvertible, LocalizedError {
  public var description: String {
    switch self {
    case .invalidArgument(let message, let shapes): "\(message) (shapes \(Self.list(shapes)))"
    case .outOfMemory(let message, let shapes):
      "out of memory in \(message) (shapes \(Self.list(shapes))): use a smaller batch or shorter rows"
    case .notSupported(let message): "not supported by this libtorch: \(message)"
    case .failed(let message): message
    case .noSuchDevice(let device): "device \(device) is not available here: `lota doctor` lists what is"
    }
  }

  public var errorDescription: String? { description }

  private static func list(_ shapes: [[Int]]) -> String {
    shapes.map { "[" + $0.map(String.init).joined(separator: ", ") + "]" }.joined(separator: ", ")
  }
}
