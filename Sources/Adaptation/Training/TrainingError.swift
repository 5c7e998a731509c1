public import Foundation

public enum TrainingError: Error, Equatable, Sendable {
  case invalidOption(name: String, value: String, expected: String)
  /// The step's loss is NaN or infinite.
  case lossNotFinite(phase: Phase, step: Int, rows: [RowReference])
  /// A gradient of the step holds NaN or infinity.
  case gradientNotFinite(phase: Phase, step: Int, tensor: String, rows: [RowReference])
  /// A weight that the step reads is NaN or infinite.
  case weightNotFinite(phase: Phase, step: Int, tensor: String)
  /// The step's update has made a weight NaN or infinite.
  case updateNotFinite(phase: Phase, step: Int, tensor: String, rate: Double)
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
    case .weightNotFinite(let phase, let step, let tensor):
      """
      \(phase.rawValue), step \(step): \(tensor) holds NaN or infinity, and so the loss is not finite: \
      \(step == 1 ? "the model's file is damaged" : "an earlier step has spoiled it; lower --learning-rate")
      """
    case .updateNotFinite(let phase, let step, let tensor, let rate):
      """
      \(phase.rawValue), step \(step): the update makes values of \(tensor) NaN or infinite: \
      lower --learning-rate (\(rate) in this step)
      """
    case .ticketIsEmpty: "the ticket holds no weights: choose a lower --sparsity"
    case .ticketOnDenseAdapter(let path):
      """
      \(path) is a PEFT adapter, and a ticket cannot be trained on top of it: use --method lora or fft, or leave it out
      """
    case .stopped(let phase, let step):
      "stopped in \(phase.rawValue) after step \(step), and saved: the same command with --resume goes on"
    }
  }

  public var errorDescription: String? { description }

  private static func list(_ rows: [RowReference]) -> String {
    rows.prefix(8).map(\.description).joined(separator: ", ") + (rows.count > 8 ? ", ..." : "")
  }
}

extension TrainingError {
  /// Whether a step that failed so has changed neither the model nor the sink.
  func leavesState(of sink: any TrainingSink) -> Bool {
    switch self {
    case .lossNotFinite: true
    case .gradientNotFinite: sink.updatesAtEnd
    default: false
    }
  }

  /// Whether numbers went wrong, so that the state in memory is not to be kept.
  var isNumeric: Bool {
    switch self {
    case .lossNotFinite, .gradientNotFinite, .weightNotFinite, .updateNotFinite: true
    default: false
    }
  }
}
