/// The recipes that come with the program: the files of Resources/tasks, embedded.
public enum BuiltInTasks {
  static let recipes: [String: String] = [
    "alpaca_eval": PackageResources.alpaca_eval_yaml,
    "arc_challenge": PackageResources.arc_challenge_yaml,
    "arc_easy": PackageResources.arc_easy_yaml,
    "boolq": PackageResources.boolq_yaml,
    "gsm8k": PackageResources.gsm8k_yaml,
    "hellaswag": PackageResources.hellaswag_yaml,
    "hexphi": PackageResources.hexphi_yaml,
    "mathinstruct": PackageResources.mathinstruct_yaml,
    "openbookqa": PackageResources.openbookqa_yaml,
    "perplexity": PackageResources.perplexity_yaml,
    "piqa": PackageResources.piqa_yaml,
    "samsum": PackageResources.samsum_yaml,
    "social_i_qa": PackageResources.social_i_qa_yaml,
    "sql_create_context": PackageResources.sql_create_context_yaml,
    "winogrande": PackageResources.winogrande_yaml,
  ].mapValues { String(decoding: $0, as: UTF8.self) }

  public static let names = recipes.keys.sorted()
}
