public import Foundation

public enum TrainingError: Error, Equatable, Sendable {
  case invalidOption(name: String, value: String, expected: String)
  /// The step's loss is NaN or infinite.
  case lossNotFinite(phase: Phase, step: Int, rows: [RowReference])
  /// A gradient of the step holds NaN or infinity.
  case gradientNotFinite(phase: Phase, step: Int, tensor: String, rows: [RowReference])
  case ticketIsEmpty
  /// A PEFT adapter, which changes whole matrices, under a ticket, whose entries are differences from the base's files.
  case ticketOnDenseAdapter(path: String)
  case stopped(phase: Phase, step: Int)
}

extension TrainingError: CustomStringConvertible, LocalizedError {
  public var description: String {
    switch self {
    case .invalidOption(let name, let value, let expected): "\(name) is \(value), but must be \(expected)"
    case .lossNotFinite(let phase, let step, let rows):
      """
      \(phase.rawValue), step \(step): the loss is not finite (rows \(Self.list(rows))): \
      lower --learning-rate or check these rows
      """
    case .gradientNotFinite(let phase, let step, let tensor, let rows):
      """
      \(phase.rawValue), step \(step): the gradient of \(tensor) is not finite (rows \(Self.list(rows))): \
      lower --learning-rate or check these rows
      """
    case .ticketIsEmpty: "the ticket holds no weights: choose a lower --sparsity"
    case .ticketOnDenseAdapter(let path):
      """
      \(path) is a PEFT adapter, and a ticket cannot be trained on top of it: use --method lora or fft, or leave it out
      """
    case .stopped(let phase, let step): "stopped in \(phase.rawValue) after step \(step)"
    }
  }

  public var errorDescription: String? { description }

  private static func list(_ rows: [RowReference]) -> String {
    rows.prefix(8).map(\.description).joined(separator: ", ") + (rows.count > 8 ? ", ..." : "")
  }
}
