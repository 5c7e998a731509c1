public import Foundation

public enum TrainingError: Error, Equatable, Sendable {
  case invalidOption(name: String, value: String, expected: String)
  /// The step's loss is NaN or infinite. Rows are numbered as in the file.
  case lossNotFinite(phase: Phase, step: Int, rows: [Int])
  case gradientNotFinite(tensor: String)
  case ticketIsEmpty
  case stopped(phase: Phase, step: Int)
}

extension TrainingError: CustomStringConvertible, LocalizedError {
  public var description: String {
    switch self {
    case .invalidOption(let name, let value, let expected): "\(name) is \(value), but must be \(expected)"
    case .lossNotFinite(let phase, let step, let rows):
      "\(phase.rawValue), step \(step): the loss is not finite (rows \(Self.list(rows))): lower --learning-rate or check these rows"
    case .gradientNotFinite(let tensor):
      "the gradient of \(tensor) is not finite: lower --learning-rate or check the data of this step"
    case .ticketIsEmpty: "the ticket holds no weights: choose a lower --sparsity"
    case .stopped(let phase, let step): "stopped in \(phase.rawValue) after step \(step)"
    }
  }

  public var errorDescription: String? { description }

  private static func list(_ rows: [Int]) -> String {
    rows.prefix(8).map(String.init).joined(separator: ", ") + (rows.count > 8 ? ", ..." : "")
  }
}
