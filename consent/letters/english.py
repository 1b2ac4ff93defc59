"""English."""

from consent.letters.catalogue import Phrases

ENGLISH = Phrases(
    code="en",
    greeting="Hello,",
    closing="Kind regards",
    number="Number of your request: {number}",
    date="{year:04d}-{month:02d}-{day:02d}",
    types={
        "access": "a copy of your data",
        "portability": "your data in a form that can be taken elsewhere",
        "erasure": "the erasure of your data",
        "rectification": "the correction of your data",
        "restriction": "a restriction on the use of your data",
        "objection": "an objection to the use of your data",
        "opt_out": "that your data is neither sold nor shared",
    },
    subjects={
        "received": "We have received your request",
        "identity": "Please confirm your request",
        "extended": "Your request takes longer",
        "rejected": "Your request",
        "package": "Your data is ready",
        "done": "Your request is done",
        "lifting": "The restriction on your data ends",
        "free": "Your request",
    },
    bodies={
        "received": "on {received_on} you asked us for {type}. We will answer by {due_on}. This costs you nothing.",
        "identity": "somebody, probably you, asked us for {type}. So that nobody else can do this in your name, please "
        "confirm it within {days} days. Open this page:\n\n{link}\n\nor enter this code where you sent the request: "
        "{code}\n\nIf it was not you, do nothing: without this confirmation nothing happens.",
        "extended": "on {received_on} you asked us for {type}. We need longer than the usual period and will answer by "
        "{due_on}. The reason:\n\n{reason}\n\nYou can complain to a data protection authority or go to court.",
        "rejected": "on {received_on} you asked us for {type}. We cannot do this. The reason:\n\n{reason}\n\nYou can "
        "complain to a data protection authority or go to court.",
        "package": "on {received_on} you asked us for {type}. It is ready here, for one download within {days} "
        "days:\n\n{link}\n\nThe file says what we hold, where it came from, what we use it for, who receives it and "
        "how long we keep it.",
        "lifting": "your data was restricted at your request of {received_on}. This ends now: we will use it again. "
        "The reason:\n\n{reason}",
        "free": "{text}",
    },
    done={
        "access": "the copy of your data that you asked for on {received_on} was made.",
        "portability": "the copy of your data that you asked for on {received_on} was made.",
        "erasure": "we are now erasing your data, as you asked on {received_on}. This letter is the last that we can "
        "send you: your address goes as well. What a law makes us keep stays locked until its time is up.",
        "rectification": "your data was corrected as you asked on {received_on}. Whoever received it from us is told.",
        "restriction": "as you asked on {received_on}, your data is kept and not used. We will write to you before "
        "this ends.",
        "objection": "as you asked on {received_on}, we do not use your data any more for what you objected to.",
        "opt_out": "as you asked on {received_on}, your data is neither sold nor shared.",
    },
)
