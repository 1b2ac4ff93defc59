"""Words from which the invented people and devices are made. None of them comes from the data."""

FIRST_NAMES = (
    "Aaron", "Abigail", "Adele", "Albert", "Alice", "Alma", "Amir", "Amy", "Andre", "Angela", "Anita", "Anna",
    "Antonio", "Arthur", "Ava", "Barbara", "Ben", "Beth", "Bianca", "Brian", "Camila", "Carl", "Carmen", "Chen",
    "Chloe", "Clara", "Daniel", "Deborah", "Denise", "Diego", "Donna", "Dylan", "Edith", "Elena", "Eli", "Ella",
    "Emma", "Eric", "Esther", "Ethan", "Eva", "Felix", "Fiona", "Frank", "Gary", "George", "Grace", "Hana", "Hannah",
    "Harold", "Helen", "Henry", "Ida", "Irene", "Isaac", "Ivy", "Jack", "Jacob", "James", "Jane", "Jasmine", "Joan",
    "Jorge", "Jose", "Julia", "June", "Karen", "Keith", "Kenji", "Laura", "Leah", "Leo", "Liam", "Lily", "Linda",
    "Louis", "Lucia", "Luis", "Maria", "Mark", "Martha", "Maya", "Mei", "Mia", "Miguel", "Nadia", "Nathan", "Nina",
    "Noah", "Nora", "Oliver", "Olga", "Omar", "Oscar", "Patrick", "Paul", "Peter", "Priya", "Rachel", "Ralph", "Rita",
    "Robert", "Rosa", "Ruth", "Sam", "Sara", "Simon", "Sofia", "Stella", "Susan", "Tara", "Thomas", "Tina", "Victor",
    "Wanda", "Wei", "Yara", "Zoe",
)  # fmt: skip
LAST_NAMES = (
    "Adams", "Alvarez", "Anderson", "Bailey", "Baker", "Barnes", "Bauer", "Bell", "Bennett", "Brooks", "Brown",
    "Campbell", "Carter", "Castillo", "Chang", "Clark", "Collins", "Cook", "Cooper", "Cruz", "Davis", "Diaz", "Edwards",
    "Evans", "Fisher", "Flores", "Foster", "Garcia", "Gibson", "Gomez", "Gray", "Green", "Hall", "Harris", "Hayes",
    "Hernandez", "Hill", "Howard", "Hughes", "Jackson", "Jenkins", "Johnson", "Jones", "Kelly", "Khan", "Kim", "King",
    "Klein", "Kowalski", "Lee", "Lewis", "Long", "Lopez", "Martin", "Martinez", "Meyer", "Miller", "Mitchell", "Moore",
    "Morales", "Morgan", "Morris", "Murphy", "Nelson", "Nguyen", "Novak", "Okafor", "Olsen", "Ortiz", "Parker", "Patel",
    "Perez", "Peterson", "Phillips", "Powell", "Price", "Ramirez", "Reed", "Reyes", "Richardson", "Rivera", "Roberts",
    "Robinson", "Rogers", "Ross", "Russo", "Sanchez", "Sanders", "Schmidt", "Scott", "Silva", "Smith", "Stewart",
    "Sullivan", "Taylor", "Thomas", "Torres", "Turner", "Walker", "Ward", "Watson", "White", "Williams", "Wilson",
    "Wood", "Wright", "Young",
)  # fmt: skip
# Domains kept for examples (RFC 2606): no mail can ever reach anybody.
MAIL_DOMAINS = ("example.com", "example.net", "example.org")
AREA_CODES = (
    "202", "212", "216", "303", "312", "404", "412", "502", "503", "513", "606", "614", "617", "702", "713", "740",
    "812", "859", "901", "937",
)  # fmt: skip
USER_AGENTS = (
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.5 "
    "Mobile/15E148 Safari/604.1",
    "Mozilla/5.0 (Linux; Android 15; Pixel 8) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Mobile "
    "Safari/537.36",
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36",
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.5 "
    "Safari/605.1.15",
    "Mozilla/5.0 (X11; Linux x86_64; rv:142.0) Gecko/20100101 Firefox/142.0",
)
CAMPAIGN_LINKS = (
    {"source": "newsletter", "medium": "email", "name": "weekly-offers"},
    {"source": "search", "medium": "cpc", "name": "groceries-near-me"},
    {"source": "social", "medium": "paid", "name": "family-pack"},
)
