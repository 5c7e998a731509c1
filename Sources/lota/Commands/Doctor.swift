import Adaptation
import ArgumentParser
import Foundation
import Torch

struct Doctor: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "What is used, what is missing, and how to get it.", discussion: "Example: lota doctor")

  @Flag(help: "Print one JSON object.") var json = false

  func run() throws {
    let report = DoctorReport()
    if json { try Output.json(report) } else { Output.result(report.text) }
  }
}

struct DoctorReport: Encodable {
  let libtorch = Engine.version
  let torchDirectory: String?
  let instructionSet = Engine.cpuCapability
  let matrixLibrary = Engine.matrixLibrary
  let threads = Engine.threadCount
  let cores = ProcessInfo.processInfo.activeProcessorCount
  let memoryInBytes = Int(clamping: ProcessInfo.processInfo.physicalMemory)
  let devices: [String: Bool]
  let modelFetcher: Bool

  init() {
    torchDirectory = LibraryLocation.directory(ofLibraryNamed: "libtorch_cpu")
    devices = Dictionary(
      uniqueKeysWithValues: Device.Kind.allCases.map { ($0.rawValue, Device(kind: $0).isAvailable) })
    modelFetcher = QuickstartModel.fetchScript != nil
  }

  var text: String {
    var lines = [
      "libtorch     \(libtorch), \(torchDirectory ?? "place unknown")",
      "instructions \(instructionSet), matrix products by \(matrixLibrary)",
      "threads      \(threads) of \(cores) cores" + (threads < cores ? " (--threads \(cores) uses all)" : ""),
      "memory       \(Format.bytes(memoryInBytes))",
    ]
    for kind in Device.Kind.allCases {
      let isThere = devices[kind.rawValue] == true
      lines.append(kind.rawValue.rightPadded(to: 13) + (isThere ? "available" : Self.advice(kind)))
    }
    lines.append(
      "quickstart   " + (modelFetcher ? "ready" : "start through ./lota in the repository: it fetches the model"))
    return lines.joined(separator: "\n")
  }

  private static func advice(_ kind: Device.Kind) -> String {
    switch kind {
    case .cpu: "missing"
    case .cuda: "not available: needs an NVIDIA GPU and a CUDA libtorch (set LOTA_TORCH to it)"
    case .mps: "not available: needs a Mac with Apple silicon"
    }
  }
}
